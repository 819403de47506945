import { expect } from 'chai';
import { annotationSchema, parseAnnotations } from '../../src/kube/parse-annotations.ts';
import { plainSettings } from '../support/ingress-settings.ts';

type Given = Readonly<Record<string, string>>;

const parse = (given: Given) =>
  parseAnnotations(
    Object.fromEntries(Object.entries(given).map(([key, value]) => [`cloudflare-warp/${key}`, value])),
    plainSettings,
  );
/** The keys that are told to change nothing. */
const ignored = (given: Given) =>
  parse(given).ignored.map(({ where }) => /\[cloudflare-warp\/(.*)\]/.exec(where)?.[1]);

/** Each annotation with a value that asks for something. */
const asked: Given = {
  ...{ replicas: '3', 'ha-connections': '2', 'no-backend': '503', dns: 'off', 'origin-via': 'endpoints' },
  ...{ 'origin-server-name': 'app.internal', 'no-tls-verify': 'true', 'ca-secret': 'my-ca' },
  ...{ 'http-host-header': 'app', 'connect-timeout': '5s', 'keepalive-timeout': '5s' },
  ...{ 'keepalive-connections': '7', 'http2-origin': 'true', 'disable-chunked-encoding': 'true' },
  ...{ 'access-team': 'acme', 'access-aud': 'a1' },
};

const ofTls = ['origin-server-name', 'no-tls-verify', 'ca-secret', 'http2-origin'];
const ofHttp = ['http-host-header', 'keepalive-timeout', 'keepalive-connections', 'disable-chunked-encoding'];

describe('an annotation that changes nothing where it stands', () => {
  it('is looked for among all there are', () => {
    const keys = [...Object.keys(asked), 'mode', 'backend-protocol'];
    expect(keys).to.have.members(Object.keys(annotationSchema.shape));
  });

  for (const [mode, ofMode] of [
    ['worker', ['replicas']],
    ['pod', []],
  ] as const) {
    for (const [protocol, ofProtocol] of [
      ['http', ofTls],
      // Beside no-tls-verify.
      ['https', ['ca-secret']],
      ['h2c', ['origin-server-name', 'no-tls-verify', 'ca-secret', 'disable-chunked-encoding']],
      ['tcp', [...ofTls, ...ofHttp]],
    ] as const) {
      it(`is told of a tunnel of mode ${mode} to a backend that speaks ${protocol}`, () => {
        const found = ignored({ ...asked, mode, 'backend-protocol': protocol });
        expect(found).to.have.members([...ofMode, ...ofProtocol]);
      });
    }
  }

  it('is named with why and what would give it effect, and every other setting holds', () => {
    const { settings, problems, ignored: told } = parse({ 'ca-secret': 'my-ca', dns: 'off' });
    expect(problems).to.deep.equal([]);
    expect(settings.dns).to.equal('off');
    expect(told).to.deep.equal([
      {
        where: 'metadata.annotations[cloudflare-warp/ca-secret]',
        message:
          'changes nothing here: the backend is spoken to as http, without TLS; expected cloudflare-warp/backend-protocol: https beside it, or that it is removed',
      },
    ]);
  });

  it('is not told of when it asks for what holds anyway', () => {
    const same = { replicas: '1', 'no-tls-verify': 'false', 'http2-origin': 'false' };
    expect(ignored({ ...same, 'disable-chunked-encoding': 'false' })).to.deep.equal([]);
  });

  it('is not told of beside one that is refused: nothing of either is in force', () => {
    expect(ignored({ replicas: '3', dns: 'on' })).to.deep.equal([]);
  });
});
