# docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/cloudflare-warp-ingress:0.1.0 .
# Both bases can be others of the same shape: a mirror, a digest, or node:24-slim for a shell to look around with.
ARG BUILD_IMAGE=node:24-slim
# No shell, no package manager, no npm: what is not there needs no patches. Its user 65532 is `nonroot`.
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs24-debian13:nonroot

# What is built is JavaScript, the same for every architecture: built once, where the builder runs.
FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Nothing that builds the image needs a package's own install script.
RUN npm ci --ignore-scripts
COPY LICENSE ./
COPY scripts scripts
COPY src src
COPY workers workers
RUN node scripts/image.mjs /app

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="cloudflare-warp-ingress" \
      org.opencontainers.image.description="Kubernetes ingress controller for Cloudflare tunnels" \
      org.opencontainers.image.licenses="Apache-2.0"
# The runtime images have Node.js in one of these.
ENV NODE_ENV=production PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin
WORKDIR /app
# Owned by root and written by nobody: the root file system may be read-only.
COPY --from=build /app /app
USER 65532:65532
EXPOSE 9090
# Node.js itself is PID 1: it hears SIGTERM, starts no other process, and so has none to reap.
# Bodies live in buffers outside of the heap, which are freed as often as its young generation is: a small one keeps
# gigabytes within tens of megabytes.
ENTRYPOINT ["node", "--max-semi-space-size=1", "dist/src/main.js"]
CMD ["controller"]
