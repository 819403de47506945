import hostTunnelsBadly from './misbehaving-thread.ts';

/** A worker file that cannot be loaded while this is set: a machine that has no memory for another thread. */
export const unwilling = 'WARP_TEST_UNWILLING_THREAD';

if (process.env[unwilling] !== undefined) throw new Error('this thread does not start');

export default hostTunnelsBadly;
