import { durationBucketsSeconds, type OriginErrorReason, type TunnelCounts } from './link.ts';

/** What a tunnel's requests are counted in until the link takes it. */
export interface Counts {
  /** One request is over. `codeClass`: 1 to 5, or 0 when it got no answer. */
  request(codeClass: number, seconds: number): void;
  originError(reason: OriginErrorReason): void;
  /** What was counted since it was last taken; null when that is nothing. */
  take(): TunnelCounts | null;
}

const codeClasses = 6;

export function createCounts(): Counts {
  let requests = new Array<number>(codeClasses).fill(0);
  let durations = new Array<number>(durationBucketsSeconds.length + 1).fill(0);
  let durationSumSeconds = 0;
  let originErrors: Partial<Record<OriginErrorReason, number>> = {};
  let counted = false;
  return {
    request(codeClass, seconds) {
      counted = true;
      requests[codeClass] = (requests[codeClass] ?? 0) + 1;
      let bucket = 0;
      while (bucket < durationBucketsSeconds.length && seconds > durationBucketsSeconds[bucket]!) bucket += 1;
      durations[bucket] = (durations[bucket] ?? 0) + 1;
      durationSumSeconds += seconds;
    },
    originError(reason) {
      counted = true;
      originErrors[reason] = (originErrors[reason] ?? 0) + 1;
    },
    take() {
      if (!counted) return null;
      const taken: TunnelCounts = { requests, durations, durationSumSeconds, originErrors };
      requests = new Array<number>(codeClasses).fill(0);
      durations = new Array<number>(durationBucketsSeconds.length + 1).fill(0);
      durationSumSeconds = 0;
      originErrors = {};
      counted = false;
      return taken;
    },
  };
}
