import type { ClientInfo } from './wire/registration.ts';

/** Of this program; the release process changes it together with package.json, and a test compares the two. */
export const programVersion = '0.1.0';

/** What a registration says of us (protocol page section 7.1). Nothing is announced that is not implemented. */
export function clientInfo(connectorId: string): ClientInfo {
  return {
    clientId: connectorId,
    features: ['serialized_headers'],
    version: `cloudflare-warp-ingress/${programVersion}`,
    arch: goArch(process.platform, process.arch),
  };
}

/** `<GOOS>_<GOARCH>`, as Cloudflare's dashboard knows it from cloudflared. */
export function goArch(platform: string, architecture: string): string {
  const os = platform === 'win32' ? 'windows' : platform;
  return `${os}_${goArchitectures[architecture] ?? architecture}`;
}

const goArchitectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
