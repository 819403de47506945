import { readFile } from 'node:fs/promises';
import { type Fault, failed, ok, type Result } from '../fault.ts';
import type { Clock, Timer } from '../time/clock.ts';
import { isHeaderSafe, parseCertPem } from './cert-pem.ts';

/** With what we talk to Cloudflare's API. Holds a secret: never logged. */
export interface Credentials {
  readonly accountId: string;
  readonly apiToken: string;
  /** The zone that a `cert.pem` was made for: what is left when the token may not list zones. */
  readonly zoneId: string | null;
  /** API base that the credentials themselves ask for; it wins over `--api-url`. */
  readonly apiUrl: string | null;
}

export type CredentialSource =
  | { readonly from: 'origincert'; readonly path: string }
  | { readonly from: 'token-file'; readonly path: string; readonly accountId: string }
  | { readonly from: 'token'; readonly token: string; readonly accountId: string };

const settings: Readonly<Record<CredentialSource['from'], string>> = {
  origincert: '--origincert (TUNNEL_ORIGIN_CERT)',
  'token-file': '--api-token-file',
  token: 'CLOUDFLARE_API_TOKEN',
};

export interface CredentialStoreOptions {
  readonly source: CredentialSource;
  readonly clock: Clock;
  /** The credentials are there for the first time, are other ones than before, or can be read again after a fault. */
  readonly onChange?: (credentials: Credentials) => void;
  /** The source cannot be used; told once per cause. What was good before stays in use. */
  readonly onFault?: (fault: Fault) => void;
  readonly read?: (path: string) => Promise<string>;
}

/**
 * The mounted credentials. Mounts of ConfigMaps and Secrets are replaced by swapping a symlink, which watchers
 * of a file do not see, so the content is read again every `pollMs` and compared. While a new file is bad the
 * last good credentials stay in use. Owned by whoever calls `start`; `close` ends the polling.
 */
export class CredentialStore {
  readonly #options: CredentialStoreOptions;
  #current: Credentials | null = null;
  #problem: Fault | null = null;
  #timer: Timer | null = null;
  #closed = false;

  constructor(options: CredentialStoreOptions) {
    this.#options = options;
  }

  /** Resolves after the first reading, good or bad. */
  async start(): Promise<void> {
    await this.#refresh();
    if (this.#options.source.from !== 'token') this.#arm();
  }

  /** The last good credentials, or why there never were any. */
  current(): Result<Credentials> {
    if (this.#current !== null) return ok(this.#current);
    return { ok: false, fault: this.#problem ?? notRead };
  }

  /** As `current`, for a command that waits for no better ones: a source that holds none is a bad setting. */
  required(): Result<Credentials> {
    const current = this.current();
    if (current.ok || current.fault.code !== 'credentials-invalid') return current;
    const { from } = this.#options.source;
    return failed('config-invalid', `${settings[from]}: ${current.fault.message}`);
  }

  /** What is wrong with the source now, even while older credentials are still in use. */
  problem(): Fault | null {
    return this.#problem;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #arm(): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(pollMs, () => {
      void this.#refresh().then(() => this.#arm());
    });
  }

  async #refresh(): Promise<void> {
    const read = await load(this.#options.source, this.#options.read ?? readText);
    if (this.#closed) return;
    if (!read.ok) {
      // That says nothing of the credentials, and whoever runs tunnels says it.
      if (read.fault.code === 'files-exhausted' && this.#current !== null) return;
      const told = this.#problem?.message === read.fault.message;
      this.#problem = read.fault;
      if (!told) this.#options.onFault?.(read.fault);
      return;
    }
    const isMended = this.#problem !== null;
    this.#problem = null;
    const known = this.#current !== null && same(this.#current, read.value) ? this.#current : null;
    this.#current = known ?? read.value;
    if (known === null || isMended) this.#options.onChange?.(this.#current);
  }
}

async function load(
  source: CredentialSource,
  read: (path: string) => Promise<string>,
): Promise<Result<Credentials>> {
  if (source.from === 'token') return tokenCredentials(source.token, source.accountId, 'the API token');
  let text: string;
  try {
    text = await read(source.path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const outOfFiles = code === 'EMFILE' || code === 'ENFILE';
    const why = `${source.path} cannot be read: ${reasonOf(error)}`;
    return failed(outOfFiles ? 'files-exhausted' : 'credentials-invalid', why);
  }
  if (source.from === 'token-file') return tokenCredentials(text, source.accountId, source.path);
  const cert = parseCertPem(text);
  if (!cert.ok)
    return failed('credentials-invalid', `${source.path} is no usable cert.pem: ${cert.fault.message}`);
  const { accountId, apiToken, zoneId, endpoint } = cert.value;
  const apiUrl = endpoint === 'fed' ? fedApiUrl : null;
  return ok({ accountId, apiToken, zoneId, apiUrl });
}

function tokenCredentials(text: string, accountId: string, where: string): Result<Credentials> {
  const apiToken = text.trim();
  if (apiToken === '') return failed('credentials-invalid', `${where} is empty: expected an API token`);
  if (!isHeaderSafe(apiToken)) {
    return failed('credentials-invalid', `${where} is no API token: expected one line without spaces`);
  }
  if (accountId === '') {
    return failed('credentials-invalid', 'an API token needs an account id beside it: give --account-id');
  }
  return ok({ accountId, apiToken, zoneId: null, apiUrl: null });
}

async function readText(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  if (text.length > maxFileLength) throw new Error(`it is larger than ${maxFileLength} characters`);
  return text;
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOENT':
      return 'it does not exist';
    case 'EACCES':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    case 'EMFILE':
      return 'this process has as many files open as it may';
    default:
      return code ?? (error instanceof Error ? error.message : 'unknown reason');
  }
}

function same(one: Credentials, other: Credentials): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

const notRead: Fault = { code: 'credentials-invalid', message: 'the credentials have not been read yet' };

/** How old the knowledge of a mounted file may be; the kubelet itself takes up to a minute to swap it. */
export const pollMs = 5_000;
/** A `cert.pem` with all three blocks has about 6,000. */
const maxFileLength = 65_536;
/** Protocol page, section 1.1. */
const fedApiUrl = 'https://api.fed.cloudflare.com/client/v4';
