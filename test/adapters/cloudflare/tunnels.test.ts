import { expect } from 'chai';
import { codeOf, must, openStage, running, type Stage } from './stage.ts';

const request = { host: 'app.example.com', name: 'warp-me-app.example.com', identity: 'me' };

const isDeletion = (method: string, path: string, id: string): boolean =>
  method === 'DELETE' && path.endsWith(id);

describe('tunnels at Cloudflare', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('are created in one call, with a token that opens them, and found again', async () => {
    stage = await openStage();
    const { api, cloudflare, counted } = stage;
    const made = must(await cloudflare.ensureTunnel(request, running()));
    expect(counted()).to.deep.equal(['tunnels.create 200']);
    const token = JSON.parse(Buffer.from(made.token, 'base64').toString());
    expect([token.a, token.t]).to.deep.equal([api.accountId, made.id]);
    const secret = Buffer.from(token.s, 'base64');
    expect(secret).to.have.length(32);
    expect(api.tunnels.get(api.accountId, made.id)?.secret).to.deep.equal(secret);

    const found = must(await cloudflare.ensureTunnel(request, running()));
    expect(found).to.deep.equal(made);
    expect(counted()).to.deep.equal(['tunnels.create 409', 'tunnels.list 200', 'tunnels.token 200']);
  });

  it('of a similar name, and deleted ones, are never taken for ours', async () => {
    stage = await openStage();
    const { api, cloudflare } = stage;
    const near = { accountId: api.accountId, secret: null, configSrc: 'local' };
    api.tunnels.create({ ...near, name: `${request.name}.au` });
    api.tunnels.delete(api.tunnels.create({ ...near, name: request.name }));
    const made = must(await cloudflare.ensureTunnel(request, running()));
    expect(api.tunnels.get(api.accountId, made.id)?.name).to.equal(request.name);
    expect(api.tunnels.live(api.accountId)).to.have.length(2);
  });

  it('are found when the answer to their creation was lost', async () => {
    stage = await openStage();
    const { api, cloudflare } = stage;
    api.faults.loseAnswers(1, (method) => method === 'POST');
    expect(codeOf(await cloudflare.ensureTunnel(request, running()))).to.equal('cloudflare-unreachable');
    const made = must(await cloudflare.ensureTunnel(request, running()));
    expect(api.tunnels.live(api.accountId).map((tunnel) => tunnel.id)).to.deep.equal([made.id]);
  });

  it('are found however a taken name is refused, also by an account that is full', async () => {
    stage = await openStage();
    const { api, cloudflare } = stage;
    const made = must(await cloudflare.ensureTunnel(request, running()));
    const isCreation = (method: string): boolean => method === 'POST';
    api.faults.failNext({ count: 1, status: 400, code: 1013, matches: isCreation });
    expect(must(await cloudflare.ensureTunnel(request, running()))).to.deep.equal(made);
    const message = 'You have reached the maximum number of tunnels';
    api.faults.failNext({ count: 1, status: 403, code: 1044, message, matches: isCreation });
    expect(must(await cloudflare.ensureTunnel(request, running()))).to.deep.equal(made);
  });

  it('are a refusal when the name is taken and yet nothing has it', async () => {
    stage = await openStage();
    const { api, cloudflare } = stage;
    api.faults.failNext({ count: 1, status: 409, code: 1013 });
    expect(codeOf(await cloudflare.ensureTunnel(request, running()))).to.equal('cloudflare-refused');
    must(await cloudflare.ensureTunnel(request, running()));
  });

  it('beyond the account’s limit are a quota, not a riddle', async () => {
    stage = await openStage({ maxTunnels: 1 });
    const { cloudflare } = stage;
    must(await cloudflare.ensureTunnel(request, running()));
    const second = await cloudflare.ensureTunnel({ ...request, name: 'warp-me-two.example.com' }, running());
    expect(codeOf(second)).to.equal('quota-exceeded');
  });

  it('are left to whoever is connected, removed with their connections in one call when told to, and removing them again is success', async () => {
    stage = await openStage();
    const { api, cloudflare, counted } = stage;
    const { id } = must(await cloudflare.ensureTunnel(request, running()));
    const revoked: string[] = [];
    api.tunnels.onRevoked((tunnelId) => revoked.push(tunnelId));
    api.tunnels.connectionOpened(id, {
      id: 'c1',
      clientId: 'connector',
      coloName: 'SBX',
      originIp: '127.0.0.1',
      openedAtMs: 0,
      version: 'test',
      arch: 'linux_amd64',
      features: [],
    });
    const removal = { name: request.name, tunnel: { accountId: api.accountId, id }, force: false };
    counted();
    expect(codeOf(await cloudflare.removeTunnel(removal, running()))).to.equal('tunnel-in-use');
    expect(api.tunnels.live(api.accountId)).to.have.length(1);
    expect(revoked).to.be.empty;
    expect(counted()).to.deep.equal(['tunnels.delete 400']);
    must(await cloudflare.removeTunnel({ ...removal, force: true }, running()));
    expect(api.tunnels.live(api.accountId)).to.deep.equal([]);
    expect(revoked).to.include(id);
    expect(counted()).to.deep.equal(['tunnels.delete 200']);
    must(await cloudflare.removeTunnel(removal, running()));
    const unknown = { accountId: api.accountId, id: '00000000-0000-4000-8000-000000000000' };
    must(await cloudflare.removeTunnel({ name: 'x', tunnel: unknown, force: false }, running()));
  });

  it('are removed after a cleanup where their connections are in the way, and are gone when they are', async () => {
    stage = await openStage();
    const { api, cloudflare, counted } = stage;
    const { accountId } = api;
    const { id } = must(await cloudflare.ensureTunnel(request, running()));
    const removal = { name: request.name, tunnel: { accountId, id }, force: true };
    counted();
    const refusal = { count: 1, status: 400, code: 1022 };
    api.faults.failNext({ ...refusal, count: 2, matches: (method, path) => isDeletion(method, path, id) });
    expect(codeOf(await cloudflare.removeTunnel(removal, running()))).to.equal('cloudflare-refused');
    counted();
    api.faults.failNext({ ...refusal, matches: (method, path) => isDeletion(method, path, id) });
    must(await cloudflare.removeTunnel(removal, running()));
    expect(counted()).to.deep.equal([
      'tunnels.delete 400',
      'tunnels.get 200',
      'tunnels.cleanup 200',
      'tunnels.delete 200',
    ]);
    expect(api.tunnels.live(accountId)).to.deep.equal([]);
    api.faults.failNext({ ...refusal, matches: (method, path) => isDeletion(method, path, id) });
    must(await cloudflare.removeTunnel(removal, running()));
    expect(counted()).to.deep.equal(['tunnels.delete 400', 'tunnels.get 200']);
  });

  it('are removed by exactly their name after an interrupted creation', async () => {
    stage = await openStage();
    const { api, cloudflare } = stage;
    must(await cloudflare.ensureTunnel(request, running()));
    must(await cloudflare.ensureTunnel({ ...request, name: `${request.name}.au` }, running()));
    must(await cloudflare.removeTunnel({ name: request.name, tunnel: null, force: false }, running()));
    expect(api.tunnels.live(api.accountId).map((tunnel) => tunnel.name)).to.deep.equal([
      `${request.name}.au`,
    ]);
    must(await cloudflare.removeTunnel({ name: request.name, tunnel: null, force: false }, running()));
  });
});

describe('Cloudflare out of order', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('repeats a look that failed, and not a creation', async () => {
    stage = await openStage();
    const { api, cloudflare } = stage;
    // Beside the probe that looks into a call without an answer.
    const counted = () => stage.counted().filter((call) => !call.startsWith('tunnels.probe'));
    api.faults.failNext({ count: 1, status: 502, matches: (method) => method === 'GET' });
    must(await cloudflare.removeTunnel({ name: request.name, tunnel: null, force: false }, running()));
    expect(counted()).to.deep.equal(['tunnels.list 502', 'tunnels.list 200']);
    api.faults.failNext({ count: 1, status: 500, matches: (method) => method === 'POST' });
    const result = await cloudflare.ensureTunnel(request, running());
    expect(codeOf(result)).to.equal('cloudflare-unreachable');
    expect(counted()).to.deep.equal(['tunnels.create 500']);
  });

  it('is a rate limit with the wait that Cloudflare asked for, and then no more calls', async () => {
    stage = await openStage({ callsPerFiveMinutes: 1 });
    const { cloudflare, counted } = stage;
    must(await cloudflare.ensureTunnel(request, running()));
    const result = await cloudflare.ensureTunnel({ ...request, name: 'warp-me-two' }, running());
    expect(codeOf(result)).to.equal('cloudflare-rate-limited');
    expect(!result.ok && result.fault.retryAfterMs).to.equal(300_000);
    const next = await cloudflare.ensureTunnel(request, running());
    expect(codeOf(next)).to.equal('cloudflare-rate-limited');
    expect(counted()).to.deep.equal(['tunnels.create 200', 'tunnels.create 429']);
  });

  it('refuses a wrong token in a sentence that does not show it, and takes the next one', async () => {
    stage = await openStage();
    const { api, cloudflare, mounted } = stage;
    mounted.now = { ...mounted.now, apiToken: 'wrong-token-of-mine' };
    const result = await cloudflare.ensureTunnel(request, running());
    expect(codeOf(result)).to.equal('credentials-invalid');
    expect(JSON.stringify(result)).not.to.include('wrong-token');
    api.setToken('rotated', { tunnels: true, dns: true, zones: true });
    mounted.now = { ...mounted.now, apiToken: 'rotated' };
    must(await cloudflare.ensureTunnel(request, running()));
  });

  it('is unreachable when nobody answers', async () => {
    stage = await openStage();
    const { api, cloudflare } = stage;
    api.faults.outage = true;
    const result = await cloudflare.ensureTunnel(request, running());
    expect(codeOf(result)).to.equal('cloudflare-unreachable');
  });

  it('lets go of a call that hangs as soon as its caller stops', async () => {
    stage = await openStage();
    const { api, cloudflare } = stage;
    api.faults.delayMs = 3_600_000;
    const stop = new AbortController();
    const hanging = cloudflare.ensureTunnel(request, stop.signal);
    setImmediate(() => stop.abort());
    expect(codeOf(await hanging)).to.equal('stopped');
  });
});
