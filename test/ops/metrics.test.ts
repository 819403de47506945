import { expect } from 'chai';
import { fault } from '../../src/fault.ts';
import { createMetrics, type Metrics } from '../../src/ops/metrics.ts';

const counts = {
  requests: [1, 0, 5, 2, 0, 3],
  durations: [4, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1],
  durationSumSeconds: 12.5,
  originErrors: { refused: 2 },
};

/** The value of one series, as it stands in the text. */
async function series(metrics: Metrics, name: string): Promise<number | undefined> {
  const line = (await metrics.text()).split('\n').find((text) => text.startsWith(`warp_ingress_${name} `));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1));
}

describe('ops/metrics', () => {
  let metrics: Metrics;
  beforeEach(() => {
    metrics = createMetrics();
  });

  it('has every metric of the contract, with its type', async () => {
    const types = Array.from(
      (await metrics.text()).matchAll(/^# TYPE warp_ingress_(\S+) (\S+)$/gm),
      (match) => [match[1], match[2]],
    );
    expect(Object.fromEntries(types)).to.include({
      tunnels: 'gauge',
      tunnel_connections: 'gauge',
      tunnel_restarts_total: 'counter',
      requests_total: 'counter',
      request_duration_seconds: 'histogram',
      origin_errors_total: 'counter',
      threads: 'gauge',
      thread_tunnels: 'gauge',
      actor_mailbox_depth: 'gauge',
      actor_restarts_total: 'counter',
      dead_letters_total: 'counter',
      watch_events_total: 'counter',
      watch_restarts_total: 'counter',
      time_to_ready_seconds: 'histogram',
      cloudflare_calls_total: 'counter',
      cloudflare_budget_remaining: 'gauge',
      leader: 'gauge',
    });
  });

  it('counts tunnels by state, also those that are none', async () => {
    metrics.telemetry.tunnelState('shop', 'a.example', 'starting');
    metrics.telemetry.tunnelState('shop', 'a.example', 'up');
    metrics.telemetry.tunnelState('shop', 'b.example', 'up');
    metrics.telemetry.tunnelConnections('a.example', 4);
    expect(await series(metrics, 'tunnels{state="up"}')).to.equal(2);
    expect(await series(metrics, 'tunnels{state="starting"}')).to.equal(0);
    expect(await series(metrics, 'tunnels{state="failed"}')).to.equal(0);
    expect(await series(metrics, 'tunnel_connections{host="a.example"}')).to.equal(4);
    metrics.telemetry.tunnelConnections('a.example', null);
    expect(await series(metrics, 'tunnel_connections{host="a.example"}')).to.equal(undefined);
  });

  it('adds up what connectors count, as a histogram that Prometheus understands', async () => {
    metrics.telemetry.tunnelState('shop', 'a.example', 'up');
    metrics.tunnelCounted('a.example', counts);
    metrics.tunnelCounted('a.example', counts);
    expect(await series(metrics, 'requests_total{host="a.example",code_class="2xx"}')).to.equal(10);
    expect(await series(metrics, 'requests_total{host="a.example",code_class="none"}')).to.equal(2);
    expect(await series(metrics, 'origin_errors_total{host="a.example",reason="refused"}')).to.equal(4);
    const bucket = (le: string) =>
      series(metrics, `request_duration_seconds_bucket{host="a.example",le="${le}"}`);
    expect(await bucket('0.005')).to.equal(8);
    expect(await bucket('0.025')).to.equal(8);
    expect(await bucket('0.05')).to.equal(20);
    expect(await bucket('10')).to.equal(20);
    expect(await bucket('+Inf')).to.equal(22);
    expect(await series(metrics, 'request_duration_seconds_sum{host="a.example"}')).to.equal(25);
    expect(await series(metrics, 'request_duration_seconds_count{host="a.example"}')).to.equal(22);
  });

  it('forgets a host when no Ingress has it any more, and drops what arrives late', async () => {
    metrics.telemetry.tunnelState('old', 'a.example', 'closing');
    metrics.telemetry.tunnelState('new', 'a.example', 'starting');
    metrics.telemetry.tunnelRestarted('a.example', 'edge-lost');
    metrics.telemetry.tunnelState('old', 'a.example', null);
    expect(await series(metrics, 'tunnel_restarts_total{host="a.example",reason="edge-lost"}')).to.equal(1);
    metrics.telemetry.tunnelState('new', 'a.example', null);
    metrics.tunnelCounted('a.example', counts);
    metrics.telemetry.tunnelConnections('a.example', 1);
    metrics.telemetry.tunnelRestarted('a.example', 'edge-lost');
    expect(await metrics.text()).not.to.contain('a.example');
    expect(metrics.tunnels()).to.deep.equal([]);
  });

  it('names what is wrong with an Ingress until it is mended', async () => {
    const where = 'metadata.annotations[cloudflare-warp/mode]';
    const message = 'got "x", expected one of worker, pod';
    metrics.telemetry.ingressProblems('shop', [{ where, message }]);
    const labels = `ingress="shop",where="${where}",message="${message.replaceAll('"', '\\"')}"`;
    expect(await series(metrics, `ingress_problems{${labels}}`)).to.equal(1);
    metrics.telemetry.ingressProblems('shop', []);
    expect(await metrics.text()).to.not.include('cloudflare-warp/mode');
  });

  it('counts what the kernel, the watches, the calls and the threads report', async () => {
    metrics.kernel.deadLetter('supervisor/shop', 'ingress');
    metrics.kernel.restarted('supervisor/shop', 'ingress', fault('bug', 'x'), 1_000);
    metrics.kernel.killed('supervisor/shop', 'ingress');
    metrics.kernel.mailboxDepth('ingress', 3);
    metrics.kernel.mailboxDepth('ingress', -1);
    metrics.watch.events('ingresses', 'modified');
    metrics.watch.restarts('ingresses', 'expired');
    metrics.cloudflare.called('tunnels.create', '200');
    metrics.budgetOf({ budgetRemaining: 800 });
    metrics.quarantineOf({ quarantined: () => new Map([['app.example.com', 'suspects']]) });
    metrics.cloudflare.tunnelsCounted(17);
    metrics.threadTunnels('1', 12);
    metrics.threadTunnels('2', 10);
    metrics.threadTunnels('2', null);
    metrics.leads(true);
    metrics.telemetry.timeToReady(1.5);
    const expected: [string, number | undefined][] = [
      ['dead_letters_total', 1],
      ['actor_restarts_total{actor="ingress"}', 1],
      ['actor_kills_total{actor="ingress"}', 1],
      ['actor_mailbox_depth{actor="ingress"}', 2],
      ['watch_events_total{kind="ingresses",type="modified"}', 1],
      ['watch_restarts_total{kind="ingresses",reason="expired"}', 1],
      ['cloudflare_calls_total{op="tunnels.create",code="200"}', 1],
      ['cloudflare_budget_remaining', 800],
      ['tunnel_quarantined{host="app.example.com",company="suspects"}', 1],
      ['cloudflare_tunnels', 17],
      ['threads', 1],
      ['thread_tunnels{thread="1"}', 12],
      ['thread_tunnels{thread="2"}', undefined],
      ['leader', 1],
      ['time_to_ready_seconds_bucket{le="2"}', 1],
      ['time_to_ready_seconds_count', 1],
    ];
    for (const [name, value] of expected) expect(await series(metrics, name), name).to.equal(value);
  });

  it('keeps two controllers of one process apart', async () => {
    const other = createMetrics();
    other.kernel.deadLetter('x', 'x');
    expect(await series(metrics, 'dead_letters_total')).to.equal(0);
  });
});
