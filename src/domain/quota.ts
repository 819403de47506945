/** Cloudflare's limit of tunnels an account (Cloudflare One documentation, Account limits); more on request. */
export const maxTunnelsPerAccount = 1_000;

/** From here on there is a warning. */
export const warnFromTunnels = maxTunnelsPerAccount * 0.8;
