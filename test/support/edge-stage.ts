import { createAuthority } from '../../src/sandbox/certificates.ts';
import {
  type ConnectionReports,
  type Edge,
  type EdgeSettings,
  startEdge,
} from '../../src/sandbox/edge/edge.ts';
import { type AnswerStream, ScriptedConnector } from './scripted-connector.ts';

/** One tunnel with one name, as the golden vectors have it. */
export const stageTunnel = {
  accountTag: '0123456789abcdef0123456789abcdef',
  tunnelId: '11111111-2222-4333-8444-555555555555',
  tunnelSecret: Buffer.from(Array.from({ length: 32 }, (_, index) => index)),
  host: 'app.example.com',
} as const;

/** A name with a tunnel that nobody has connected. */
export const idleHost = 'idle.example.com';
const idleTunnelId = '22222222-2222-4333-8444-555555555555';

/** An edge that knows `stageTunnel`, and scripted connectors at it. `close` ends all. */
export class EdgeStage {
  readonly edge: Edge;
  readonly #connectors: ScriptedConnector[] = [];

  private constructor(edge: Edge) {
    this.edge = edge;
  }

  static async open(
    settings: Partial<EdgeSettings> & { readonly reports?: ConnectionReports } = {},
  ): Promise<EdgeStage> {
    const edge = await startEdge({
      authority: createAuthority('edge'),
      checkTunnel: (accountTag, tunnelId) =>
        accountTag === stageTunnel.accountTag && tunnelId === stageTunnel.tunnelId
          ? { secret: stageTunnel.tunnelSecret }
          : null,
      tunnelOf: (host) =>
        host === stageTunnel.host ? stageTunnel.tunnelId : host === idleHost ? idleTunnelId : null,
      ...settings,
    });
    return new EdgeStage(edge);
  }

  async dial(
    script: { readonly tunnelSecret?: Uint8Array; readonly tunnelId?: string } & Partial<{
      connIndex: number;
      clientId: string;
      answer: AnswerStream;
    }> = {},
  ): Promise<ScriptedConnector> {
    const connector = await ScriptedConnector.dial({
      ...stageTunnel,
      tunnelAddress: this.edge.tunnelAddress,
      caPem: this.edge.caPem,
      ...script,
    });
    this.#connectors.push(connector);
    return connector;
  }

  /** A registered connector that answers each request like this. */
  async serve(answer: AnswerStream, connIndex = 0): Promise<ScriptedConnector> {
    const connector = await this.dial({ answer, connIndex });
    const result = await connector.register();
    if (result.kind !== 'registered') throw new Error(`refused: ${result.cause}`);
    return connector;
  }

  async close(): Promise<void> {
    for (const connector of this.#connectors) connector.destroy();
    await this.edge.stop();
  }
}
