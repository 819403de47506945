/** The number that a flag has, from 1 to `max`; throws the line that says what is wrong with it. */
export function wholeNumber(flag: string, text: string, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max) throw new Error(`${flag}: got ${JSON.stringify(text)}, expected 1 to ${max}`);
  return value;
}
