import type { LostPath } from '../domain/claims.ts';
import type { EventNote, EventReason } from '../domain/event.ts';
import type { Problem } from '../domain/ingress.ts';
import { noteOfFault, textOfLost } from '../domain/notes.ts';
import { type Fault, isCloudflareAway } from '../fault.ts';
import type { ServedBy } from './messages.ts';

export type IngressNotes = ReturnType<typeof ingressNotes>;

/**
 * Turns an Ingress' state into Events: one per change and not one per retry. Each subject has a slot that
 * remembers what was said last; saying it again is silence. What keeps several hosts from being served is said once.
 */
export function ingressNotes(emit: (note: EventNote) => void) {
  const said = new Map<string, ReadonlySet<string>>();

  const say = (
    slot: string,
    notes: readonly EventNote[],
    elsewhere: (text: string) => boolean = () => false,
  ): void => {
    const before = said.get(slot);
    if (notes.length === 0) {
      if (before !== undefined) said.delete(slot);
      return;
    }
    const texts = notes.map(textOf);
    // Nearly always, and then what is kept stays: the one before would be garbage in V8's old generation.
    if (before?.size === texts.length && texts.every((text) => before.has(text))) return;
    said.set(slot, new Set(texts));
    for (const note of notes) {
      const text = textOf(note);
      if (!before?.has(text) && !elsewhere(text)) emit(note);
    }
  };

  /** Whether another slot than `own` has said what `isMeant`. */
  const isSaidElsewhere = (own: string, isMeant: (text: string, slot: string) => boolean): boolean =>
    [...said].some(([slot, texts]) => slot !== own && [...texts].some((text) => isMeant(text, slot)));

  /** Credentials are all hosts': what is wrong with them is said of all or of the first that meets it. */
  const areCredentialsSaid = (own: string, fault: Fault): boolean =>
    isSaidElsewhere(
      own,
      (text, slot) =>
        text.startsWith('CredentialsInvalid ') &&
        (own === 'credentials' || slot === 'credentials' || text.includes(fault.message)),
    );

  const notesOfIgnored = (ignored: readonly Problem[]): readonly EventNote[] =>
    ignored.map(({ where, message }) => warning('AnnotationIgnored', `${where} ${message}`));

  return {
    problems(problems: readonly Problem[]): void {
      say(
        'problems',
        problems.map(({ where, message }) => warning('InvalidIngress', `${where}: ${message}`)),
      );
    },
    ignored(ignored: readonly Problem[]): void {
      say('ignored', notesOfIgnored(ignored));
    },
    taken(taken: readonly LostPath[]): void {
      say(
        'taken',
        taken.map((lost) => warning('HostTaken', textOfLost(lost))),
      );
    },
    credentials(fault: Fault | null): void {
      const message = `${fault?.message}. What runs goes on; nothing can be changed at Cloudflare until this is mended`;
      const isSaid = fault === null || areCredentialsSaid('credentials', fault);
      say('credentials', isSaid ? [] : [warning('CredentialsInvalid', message)]);
    },
    backends(host: string, notes: readonly EventNote[]): void {
      const own = `backends ${host}`;
      say(own, notes, (text) =>
        isSaidElsewhere(own, (other, slot) => slot.startsWith('backends ') && other === text),
      );
    },
    tls(asksForTls: boolean): void {
      say('tls', asksForTls ? [tlsAtEdge] : []);
    },
    /** As if what changes nothing had been said already. */
    harmlessKnown(asksForTls: boolean, ignored: readonly Problem[]): void {
      if (asksForTls) said.set('tls', new Set([textOf(tlsAtEdge)]));
      if (ignored.length > 0) said.set('ignored', new Set(notesOfIgnored(ignored).map(textOf)));
    },
    /** `isMissed`: the host is not served for want of it, and that not since a moment ago. */
    stepFailed(host: string, fault: Fault, isMissed: boolean): void {
      const slot = `step ${host}`;
      const note = noteOfFault(host, fault, isMissed);
      // Of an outage each attempt may have other words, and the next one another cause: each cause is said once.
      if (isOfOutage(fault, note)) {
        const told = [...(said.get(slot) ?? [])].filter((text) => ofOutage.has(reasonOf(text)));
        if (note === null ? told.length > 0 : told.some((text) => reasonOf(text) === note.reason)) return;
        if (note !== null && told.length > 0) {
          said.set(slot, new Set([...told, textOf(note)]));
          return emit(note);
        }
      }
      const isSaid = note?.reason === 'CredentialsInvalid' && areCredentialsSaid(slot, fault);
      say(slot, note === null || isSaid ? [] : [note]);
    },
    stepSucceeded(host: string): void {
      say(`step ${host}`, []);
    },
    tunnelReady(host: string, tunnelId: string): void {
      say(`tunnel ${host}`, [ready(host, tunnelId)]);
    },
    /** As if it had been said already. */
    tunnelKnown(host: string, tunnelId: string): void {
      said.set(`tunnel ${host}`, new Set([textOf(ready(host, tunnelId))]));
    },
    /** Whether paths of this Ingress are served through another one's tunnel. */
    servedBy(host: string, served: ServedBy | null): void {
      const message = `https://${host} is served through ${served?.hostname}, the tunnel of the Ingress "${served?.owner}", which has the other Events of this host`;
      say(`tunnel ${host}`, served === null ? [] : [{ type: 'Normal', reason: 'TunnelReady', message }]);
    },
    /** Closed for a reason that has its own note; when it opens again that is news. */
    tunnelClosed(host: string): void {
      say(`tunnel ${host}`, []);
    },
    tunnelLost(host: string): void {
      const message = `${host}: no connection to Cloudflare's edge is left; reconnecting by itself`;
      say(`tunnel ${host}`, [warning('TunnelLost', message)]);
    },
    tunnelRestarted(host: string, fault: Fault): void {
      const message = `${host}: the tunnel's connector ended (${fault.message}) and is started again`;
      say(`tunnel ${host}`, [warning('TunnelRestarted', message)]);
    },
    /** Beside what is said of the tunnel, which serves. */
    replacementFailed(host: string, fault: Fault): void {
      const message = `${host}: the tunnel's new connector ended (${fault.message}) and is started again; the one of before serves until it is registered`;
      say(`replacement ${host}`, [warning('TunnelRestarted', message)]);
    },
    /** Nothing is to be replaced any more. */
    replaced(host: string): void {
      say(`replacement ${host}`, []);
    },
    /** What keeps a pod of the tunnel from serving, or null. */
    pods(host: string, fault: Fault | null): void {
      const message = `${host}: the tunnel waits for its pods: ${fault?.message}. It opens, or changes, once they are ready`;
      say(`pods ${host}`, fault === null ? [] : [warning('WaitingForPods', message)]);
    },
    quarantined(host: string, isApart: boolean): void {
      const message = `${host}: worker threads died again and again under this tunnel and others; it may be what one of them carries, so they are kept apart until there has been no other death for ten minutes. TunnelRestarted meanwhile means that it is this one`;
      say(`quarantine ${host}`, isApart ? [warning('TunnelQuarantined', message)] : []);
    },
    access(host: string, problem: string | null): void {
      const message = `${host}: every request is refused because ${problem}. They are tried again as requests come; expected a team that exists in the annotation cloudflare-warp/access-team`;
      say(`access ${host}`, problem === null ? [] : [warning('InvalidIngress', message)]);
    },
    forgetAll(): void {
      said.clear();
    },
    forget(host: string): void {
      for (const kind of ['access', 'backends', 'pods', 'quarantine', 'replacement', 'step', 'tunnel'])
        said.delete(`${kind} ${host}`);
    },
  };
}

const tlsAtEdge: EventNote = {
  type: 'Normal',
  reason: 'TlsAtEdge',
  message:
    "spec.tls changes nothing: visitors' TLS ends at Cloudflare's edge with the certificate that Cloudflare has for the host, and the Secrets named there are not read",
};

function ready(host: string, tunnelId: string): EventNote {
  const message = `https://${host} is served through tunnel ${tunnelId}`;
  return { type: 'Normal', reason: 'TunnelReady', message };
}

const ofOutage: ReadonlySet<string> = new Set<EventReason>([
  'CloudflareFailed',
  'LedgerRefused',
  'RateLimited',
]);

function isOfOutage(fault: Fault, note: EventNote | null): boolean {
  return isCloudflareAway(fault) || fault.code === 'kube-unreachable' || note?.reason === 'CloudflareFailed';
}

function textOf(note: EventNote): string {
  return `${note.reason} ${note.message}`;
}

function reasonOf(text: string): string {
  return text.slice(0, text.indexOf(' '));
}

function warning(reason: EventNote['reason'], message: string): EventNote {
  return { type: 'Warning', reason, message };
}
