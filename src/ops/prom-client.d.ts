/**
 * The parts of prom-client that we load. Its index also loads default metrics, cluster support and a push
 * gateway: 88 ms and 20 MiB instead of 3 ms and 4 MiB.
 */
declare module 'prom-client/lib/registry.js' {
  import type { Registry } from 'prom-client';

  const part: typeof Registry;
  export default part;
}

declare module 'prom-client/lib/counter.js' {
  import type { Counter } from 'prom-client';

  const part: typeof Counter;
  export default part;
}

declare module 'prom-client/lib/gauge.js' {
  import type { Gauge } from 'prom-client';

  const part: typeof Gauge;
  export default part;
}

declare module 'prom-client/lib/histogram.js' {
  import type { Histogram } from 'prom-client';

  const part: typeof Histogram;
  export default part;
}
