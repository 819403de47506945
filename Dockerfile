# syntax=docker/dockerfile:1
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json ./
COPY scripts scripts
COPY src src
COPY workers workers
# The sandbox is for development: the image is without it, and `warp-ingress sandbox` says so.
RUN npm run build && rm -rf dist/src/sandbox && npm prune --omit=dev

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
USER 65532:65532
EXPOSE 9090
# Bodies live in buffers outside of the heap, which are freed as often as its young generation is: a small one keeps
# gigabytes within tens of megabytes.
ENTRYPOINT ["node", "--enable-source-maps", "--max-semi-space-size=1", "dist/src/main.js"]
CMD ["controller"]
