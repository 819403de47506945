import { randomUUID } from 'node:crypto';
import { connect } from 'node:tls';
import { expect } from 'chai';
import type { ClosedConnection, OpenedConnection } from '../../../src/sandbox/edge/edge.ts';
import { MessageBuilder } from '../../../src/tunnel/wire/capnp-writer.ts';
import {
  decodeBootstrapResults,
  decodeRegistrationResult,
  encodeUpdateLocalConfiguration,
} from '../../../src/tunnel/wire/registration.ts';
import { encodeBootstrap, encodeCall, type RpcReturn } from '../../../src/tunnel/wire/rpc-messages.ts';
import { valueIn } from '../../support/decoded-value.ts';
import { EdgeStage, idleHost, stageTunnel } from '../../support/edge-stage.ts';
import { eventually } from '../../support/eventually.ts';
import { visit } from '../../support/eyeball.ts';
import { goldenMessages } from '../../support/golden-messages.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const golden = goldenMessages();
const frame = (name: string): Buffer => golden.get(name) as Buffer;

const resultsOf = ({ result }: RpcReturn) => {
  if (result.kind !== 'results') throw new Error(`a Return holds ${result.kind}`);
  return result.payload;
};

describe('sandbox edge: registration', () => {
  const opened: OpenedConnection[] = [];
  const closed: ClosedConnection[] = [];
  let room = true;
  let stage: EdgeStage;

  beforeEach(async () => {
    opened.length = 0;
    closed.length = 0;
    room = true;
    stage = await EdgeStage.open({
      refuseDuplicates: true,
      reports: {
        opened: (connection) => room && opened.push(connection) > 0,
        closed: (connection) => void closed.push(connection),
      },
    });
  });
  afterEach(() => stage.close());

  it('takes the bytes of a real connector: register pipelined, unregister on the import, racy ending', async () => {
    const connector = await stage.dial();
    connector.send(Buffer.concat([frame('V1'), frame('V3')]));
    expect(valueIn(decodeBootstrapResults(resultsOf(await connector.returned(0))))).to.equal(0);
    const result = valueIn(decodeRegistrationResult(resultsOf(await connector.returned(1))));
    expect(result).to.include({ kind: 'registered', locationName: 'sbx01', remotelyManaged: false });
    expect(stage.edge.connections()).to.have.length(1);
    expect(opened[0]?.registration.client.version).to.equal('DEV');

    connector.received.length = 0;
    connector.send(Buffer.concat([frame('V7'), finishOf(1), frame('V8')]));
    expect(resultsOf(await connector.returned(1)).capTable).to.deep.equal([]);
    connector.send(Buffer.concat([frame('V10'), frame('V11')]));
    connector.control.end();
    await connector.closed();
    await eventually('the connection is reported as closed', () => closed.length === 1);
    expect(closed[0]).to.include({ connectionId: opened[0]?.connectionId, hasUnregistered: true });
  });

  it('takes the same bytes one at a time', async () => {
    const connector = await stage.dial();
    for (const byte of Buffer.concat([frame('V1'), frame('V3')])) connector.send(Buffer.of(byte));
    expect(valueIn(decodeRegistrationResult(resultsOf(await connector.returned(1)))).kind).to.equal(
      'registered',
    );
  });

  const refusals = [
    {
      title: 'a wrong secret',
      script: { tunnelSecret: Buffer.alloc(32, 9) },
      cause: 'Unauthorized: Invalid tunnel secret',
    },
    {
      title: 'a secret of another length',
      script: { tunnelSecret: Buffer.alloc(5) },
      cause: 'Unauthorized: Invalid tunnel secret',
    },
    {
      title: 'an unknown tunnel',
      script: { tunnelId: randomUUID() },
      cause: 'Unauthorized: Tunnel not found',
    },
  ];
  for (const { title, script, cause } of refusals) {
    it(`refuses ${title}, and then closes the connection itself`, async () => {
      const connector = await stage.dial(script);
      expect(await connector.register()).to.include({ kind: 'refused', cause, shouldRetry: false });
      await connector.closed();
      expect(stage.edge.connections()).to.deep.equal([]);
      expect(opened).to.deep.equal([]);
    });
  }

  it('calls a second connection of the same connector and index a duplicate', async () => {
    const clientId = randomUUID();
    const first = await stage.dial({ clientId });
    expect((await first.register()).kind).to.equal('registered');
    const second = await stage.dial({ clientId });
    expect(await second.register()).to.include({ cause: 'EDUPCONN', shouldRetry: true });
    const other = await stage.dial({ clientId, connIndex: 1 });
    expect((await other.register()).kind).to.equal('registered');
  });

  it('refuses connections beyond what the account of them allows', async () => {
    room = false;
    const connector = await stage.dial();
    expect(await connector.register()).to.include({ kind: 'refused', shouldRetry: true });
    await connector.closed();
    expect(closed).to.deep.equal([]);
  });

  it('keeps what a locally managed connector says of itself', async () => {
    const connector = await stage.serve(() => {});
    const question = { questionId: 7, target: { kind: 'imported', id: 0 } } as const;
    connector.send(encodeUpdateLocalConfiguration(question, Buffer.from('{"ingress":[]}')));
    resultsOf(await connector.returned(7));
    expect(stage.edge.connections()[0]?.localConfiguration).to.equal('{"ingress":[]}');
  });

  it('answers what it does not implement with an exception, and goes on', async () => {
    const connector = await stage.serve(() => {});
    const call = { params: () => {}, target: { kind: 'imported', id: 0 } } as const;
    connector.send(encodeCall({ ...call, questionId: 8, interfaceId: 1n, methodId: 0 }));
    connector.send(encodeCall({ ...call, questionId: 9, interfaceId: 0xf71695ec7fe85497n, methodId: 9 }));
    for (const questionId of [8, 9]) {
      const { result } = await connector.returned(questionId);
      expect(result.kind === 'exception' && result.exception.kind).to.equal('unimplemented');
    }
    const builder = new MessageBuilder();
    builder.root().struct(1, 1).uint16(0, 13); // disembargo
    connector.send(builder.frame());
    await eventually('an Unimplemented', () =>
      connector.received.some(({ type }) => type === 'unimplemented'),
    );
    expect(stage.edge.connections()[0]?.state).to.equal('serving');
  });

  it('refuses a call to a capability that it does not host', async () => {
    const connector = await stage.dial();
    connector.send(encodeBootstrap(0));
    const call = { params: () => {}, interfaceId: 0xf71695ec7fe85497n, methodId: 0 };
    connector.send(encodeCall({ ...call, questionId: 1, target: { kind: 'imported', id: 5 } }));
    connector.send(encodeCall({ ...call, questionId: 2, target: { kind: 'promised', questionId: 1 } }));
    for (const questionId of [1, 2])
      expect((await connector.returned(questionId)).result.kind).to.equal('exception');
  });

  it('aborts on bytes that are no messages', async () => {
    const connector = await stage.dial();
    connector.send(Buffer.alloc(64, 0xff));
    await eventually('an Abort', () => connector.received.some(({ type }) => type === 'abort'));
  });

  it('shrugs off who closes right after TLS, and who speaks no TLS', async () => {
    const [host = '', port = ''] = stage.edge.tunnelAddress.split(':');
    for (const servername of ['probe.cftunnel.com', 'quic.cftunnel.com']) {
      const probe = connect({ host, port: Number(port), servername, ca: stage.edge.caPem });
      await new Promise((resolve) => probe.once('secureConnect', resolve));
      expect(probe.authorized && probe.alpnProtocol).to.equal(false);
      probe.destroy();
    }
    await fetch(`http://${stage.edge.tunnelAddress}/`).catch(() => {});
    await stage.serve((stream) => stream.respond({ ':status': 200 }, { endStream: true }));
  });

  it('closes what a deletion or a cleanup revokes', async () => {
    const one = await stage.serve(() => {}, 0);
    const other = await stage.serve(() => {}, 1);
    const clientId = stage.edge.connections().find(({ connIndex }) => connIndex === 0)?.clientId ?? '';
    stage.edge.revoke(stageTunnel.tunnelId, clientId);
    await one.closed();
    expect(other.isClosed).to.equal(false);
    stage.edge.revoke(stageTunnel.tunnelId, null);
    await other.closed();
    await eventually('both are reported as closed', () => closed.length === 2);
    expect(closed.map(({ hasUnregistered }) => hasUnregistered)).to.deep.equal([false, false]);
  });

  it('lets running requests end after unregisterConnection, gives it no new ones, then closes', async () => {
    let finish = (): void => {};
    const connector = await stage.serve((stream) => {
      stream.respond({ ':status': 200, 'cf-cloudflared-response-headers': '' });
      stream.write('begun ');
      finish = () => stream.end('and ended');
    });
    const running = visit(stage.edge.frontUrl, { host: stageTunnel.host });
    await eventually('the request runs', () => stage.edge.connections()[0]?.openStreams === 1);
    await connector.unregister();
    expect((await visit(stage.edge.frontUrl, { host: stageTunnel.host })).status).to.equal(530);
    expect(connector.isClosed).to.equal(false);
    finish();
    expect((await running).body).to.equal('begun and ended');
    await connector.closed();
    expect((await visit(stage.edge.frontUrl, { host: idleHost })).body).to.equal('error code: 1033');
  });
});

describe('sandbox edge: a quiet peer', () => {
  it('is closed when it does not register in time', async () => {
    const clock = new ManualClock();
    const stage = await EdgeStage.open({ clock });
    const connector = await stage.dial();
    clock.advance(10_000);
    await connector.closed();
    await stage.close();
  });
});

/** Finish, as V7, of another question. */
function finishOf(questionId: number): Buffer {
  const finish = Buffer.from(frame('V7'));
  finish.writeUInt32LE(questionId, 32);
  return finish;
}
