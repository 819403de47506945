import { readFile } from 'node:fs/promises';
import { certificatesIn } from '../domain/certificates.ts';
import { failed, ok, type Result } from '../fault.ts';

/** Whichever of the two has named the file. */
const setting = '--cacert (TUNNEL_CACERT)';

/** The roots in the file of `--cacert`, as one PEM text of nothing but certificates. Faults: `config-invalid`. */
export async function readEdgeRoots(path: string): Promise<Result<string>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    return failed('config-invalid', `${setting}: cannot be read: ${(thrown as Error).message}`);
  }
  const { count, pem, broken } = certificatesIn(text);
  if (count > 0 && broken === null) return ok(pem);
  const seen = count === 0 ? 'it holds no certificate' : `its certificate ${broken} cannot be read`;
  return failed('config-invalid', `${setting}: ${path}: ${seen}; expected one or more in PEM`);
}
