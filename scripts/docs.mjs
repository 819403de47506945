// Writes what is made from the sources; `npm test` fails while it is not what they say.
import { mkdirSync, writeFileSync } from 'node:fs';
import { annotationReference } from '../dist/src/kube/annotation-reference.js';

const docs = new URL('../docs/', import.meta.url);
mkdirSync(docs, { recursive: true });
writeFileSync(new URL('annotations.md', docs), annotationReference());
