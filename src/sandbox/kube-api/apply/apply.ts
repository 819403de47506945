import { type JsonObject, type KubeObject, objectAt } from '../json.ts';
import { timestamp } from '../registry/metadata.ts';
import { apiVersionOf, type ResourceDefinition } from '../resources/definition.ts';
import { structSchema } from '../schema/schema.ts';
import { StatusError } from '../status.ts';
import {
  difference,
  equalSets,
  type FieldSet,
  intersection,
  isEmpty,
  nothing,
  pathsOf,
  union,
} from './field-set.ts';
import { compare, fieldsOf, owned } from './fields.ts';
import { lastAppliedFields, withLastApplied } from './last-applied.ts';
import { isSameWriter, type Share, sharesOf, type Writer, withShares } from './managed-fields.ts';
import { overlay, prune } from './merge.ts';

/** The manager that may go on from the client's apply, as the real server has it. */
const kubectl = 'kubectl';

export interface Application {
  readonly manager: string;
  readonly subresource: string;
  /** Takes fields over from other managers instead of refusing. */
  readonly force: boolean;
  readonly nowMs: number;
}

/** What becomes of an object (null if there is none) when a manager applies `applied`: its whole intent. */
export function applied(
  definition: ResourceDefinition,
  live: KubeObject | null,
  intent: JsonObject,
  application: Application,
): KubeObject {
  const schema = structSchema(definition.model);
  const writer: Writer = {
    manager: application.manager,
    operation: 'Apply',
    apiVersion: apiVersionOf(definition),
    subresource: application.subresource,
  };
  const fields = owned(fieldsOf(intent, schema));
  const time = timestamp(application.nowMs);
  if (live === null) return withShares(intent as KubeObject, [{ writer, time, fields }]);
  const shares = sharesOf(live);
  const own = shares.find((share) => isSameWriter(share.writer, writer));
  const others = shares.filter((share) => share !== own);
  const laid = overlay(live, intent, schema) as KubeObject;
  const { changed } = compare(live, laid, schema);
  const handedOver = application.manager === kubectl ? lastAppliedFields(live, schema) : nothing;
  const contested = difference(owned(changed), handedOver);
  const conflicts = others
    .map((share) => ({ share, fields: intersection(share.fields, contested) }))
    .filter((conflict) => !isEmpty(conflict.fields));
  if (conflicts.length > 0 && !application.force) throw conflictError(conflicts);
  const remaining = others.map((share) => ({ ...share, fields: difference(share.fields, changed) }));
  const kept = remaining.reduce<FieldSet>((sum, share) => union(sum, share.fields), fields);
  const unwanted = difference(own?.fields ?? nothing, fields);
  const pruned = prune(laid, unwanted, kept, schema) as KubeObject;
  const result = application.manager === kubectl ? withLastApplied(pruned, intent) : pruned;
  const same = own !== undefined && equalSets(own.fields, fields);
  return withShares({ ...result, metadata: objectAt(result, 'metadata') as KubeObject['metadata'] }, [
    ...remaining,
    { writer, time: same ? own.time : time, fields },
  ]);
}

interface Conflict {
  readonly share: Share;
  readonly fields: FieldSet;
}

function conflictError(conflicts: readonly Conflict[]): StatusError {
  const causes = conflicts.flatMap(({ share, fields }) =>
    pathsOf(fields).map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${describe(share.writer)}`,
      field,
    })),
  );
  const [only] = causes;
  const text =
    causes.length === 1 && only !== undefined
      ? `${only.message}: ${only.field}`
      : conflicts
          .map(({ share, fields }) => {
            const paths = pathsOf(fields);
            return `conflicts with ${describe(share.writer)}:\n${paths.map((path) => `- ${path}`).join('\n')}`;
          })
          .join('\n');
  const count = `${causes.length} conflict${causes.length === 1 ? '' : 's'}`;
  return new StatusError(409, 'Conflict', `Apply failed with ${count}: ${text}`, { causes });
}

function describe({ manager, operation, subresource, apiVersion }: Writer): string {
  const with_ = subresource === '' ? '' : ` with subresource "${subresource}"`;
  return `"${manager}"${with_}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
}
