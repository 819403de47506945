import type { Change } from '../domain/change.ts';
import { tunnelHostname } from '../domain/host.ts';
import { type DnsQuestion, unborn } from '../domain/host-forecast.ts';
import type { DnsRecords } from '../domain/ledger.ts';
import { failed, ok, type Result } from '../fault.ts';
import type { SeenRecord, SeenZone } from './api-objects.ts';
import {
  type DnsScene,
  isPublished,
  planPublication,
  planRemoval,
  type Write,
  writeFor,
} from './dns-plan.ts';
import { markName } from './owner-mark.ts';
import type { Survey } from './survey.ts';
import { longestZone, zoneUnknown } from './zones.ts';

/**
 * What `ensureDns` and `removeDns` would write, told from a survey. Pure. Takes the same ways as they do and asks
 * the same decisions (`dns-plan`).
 */

export function previewPublication(survey: Survey, question: DnsQuestion): Result<readonly Change[]> {
  const { host, identity, tunnelId, known } = question;
  if (known !== null) {
    const kept = previewKnown(survey, question, known);
    if (kept !== null) return kept;
  }
  const zones = survey.zones.map(({ zone }) => zone);
  const zone = longestZone(host, zones);
  if (zone === null) return zoneUnknown(host, zones);
  const scene = sceneOf(survey, zone, host);
  if (!scene.ok) return scene;
  const apex = host === zone.name;
  const wish = { host, identity, tunnelId, knownCnameId: known?.cnameId ?? null, apex };
  const step = planPublication(scene.value, wish);
  if (step.type === 'conflict') return failed('dns-conflict', step.message);
  const marked = step.mark !== null && step.cname.id !== null && step.mark.says.record === step.cname.id;
  const mark: Change = {
    action: step.mark === null ? 'create' : 'change',
    kind: 'TXT',
    name: markName(host, zone.name),
    detail: `owner ${identity}`,
  };
  const surplus = deletionsOf(scene.value, step.surplus);
  return ok([...changeOfCname(step.cname.write, host, tunnelId), ...(marked ? [] : [mark]), ...surplus]);
}

export function previewRemoval(survey: Survey, question: DnsQuestion): Result<readonly Change[]> {
  const { host, identity, tunnelId, known } = question;
  const zones = survey.zones.map(({ zone }) => zone);
  const zone =
    known === null ? longestZone(host, zones) : (zones.find(({ id }) => id === known.zoneId) ?? null);
  if (zone === null) return ok([]);
  const scene = sceneOf(survey, zone, host);
  if (!scene.ok) return scene;
  const apex = host === zone.name;
  const wish = { host, identity, tunnelId, knownCnameId: known?.cnameId ?? null, apex };
  return ok(deletionsOf(scene.value, planRemoval(scene.value, wish)));
}

/** What is at a host's name and at the name of its owner mark. */
export function sceneOf(survey: Survey, zone: SeenZone, host: string): Result<DnsScene> {
  const records = survey.zones.find((surveyed) => surveyed.zone.id === zone.id)?.records ?? ok([]);
  if (!records.ok) return records;
  const mark = markName(host, zone.name);
  return ok({
    records: records.value.filter((record) => record.name === host),
    marks: records.value.filter((record) => record.name === mark),
  });
}

/** Null when one of the records that the ledger names is not there (any more). */
function previewKnown(
  survey: Survey,
  question: DnsQuestion,
  known: DnsRecords,
): Result<readonly Change[]> | null {
  const records = survey.zones.find(({ zone }) => zone.id === known.zoneId)?.records;
  if (records === undefined || !records.ok) return null;
  const [cname = null, mark = null] = [known.cnameId, known.txtId].map((wanted) =>
    records.value.find(({ id }) => id === wanted),
  );
  if (cname === null || !isPublished(cname, mark, question)) return null;
  return ok(changeOfCname(writeFor(cname, question.tunnelId), question.host, question.tunnelId));
}

function changeOfCname(write: Write, host: string, tunnelId: string): readonly Change[] {
  if (write === 'none') return [];
  const action = write === 'create' ? 'create' : 'change';
  const detail = tunnelId === unborn ? unborn : tunnelHostname(tunnelId);
  return [{ action, kind: 'CNAME', name: host, detail }];
}

function deletionsOf(scene: DnsScene, ids: readonly string[]): readonly Change[] {
  const all = [...scene.records, ...scene.marks];
  return ids.flatMap((id) => all.filter((record) => record.id === id).map(deletionOf));
}

function deletionOf(record: SeenRecord): Change {
  const kind = record.type === 'TXT' ? 'TXT' : 'CNAME';
  return { action: 'delete', kind, name: record.name, detail: record.content };
}
