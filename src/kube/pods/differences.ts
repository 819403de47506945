import { isFields, keyOfList } from './pod-template.ts';

/** A field that is not as it was applied. */
export interface Difference {
  readonly path: string;
  /** What is there instead; undefined: nothing. */
  readonly there: unknown;
}

/**
 * Where an object is not as we have said. What others have added is theirs: as with server-side apply, lists with keys
 * are compared by element, all others as a whole. The API server leaves out what is empty (`omitempty` of its Go types) and
 * knows numbers as text (quantities), so neither is a difference. Pure.
 */
export function differences(said: object, there: object): readonly Difference[] {
  const found: Difference[] = [];
  compare('', '', said, there, found);
  return found;
}

function compare(path: string, field: string, said: unknown, there: unknown, found: Difference[]): void {
  const differ = (): void => void found.push({ path, there });
  if (there === undefined || there === null) {
    if (!isEmpty(said)) differ();
  } else if (isFields(said)) {
    if (!isFields(there)) return differ();
    for (const [key, value] of Object.entries(said))
      compare(path === '' ? key : `${path}.${key}`, key, value, there[key], found);
  } else if (Array.isArray(said)) {
    if (!Array.isArray(there)) return differ();
    const key = keyOfList[field];
    if (key === undefined && said.length !== there.length) return differ();
    said.forEach((element, index) => {
      const name = key === undefined ? index : (element as Record<string, unknown>)[key];
      const other = key === undefined ? there[index] : there.find((each) => each?.[key] === name);
      compare(`${path}[${name}]`, '', element, other, found);
    });
  } else if (String(said) !== String(there)) differ();
}

function isEmpty(said: unknown): boolean {
  return !said || (typeof said === 'object' && Object.values(said).every(isEmpty));
}
