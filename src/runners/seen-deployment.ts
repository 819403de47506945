import { isOfEarlierHistory, type ObjectVersion } from '../domain/ledger.ts';
import type { SeenPods } from '../kube/pods/parse-pods.ts';

/**
 * One Deployment as it is now, by a watch and by the answers to our own writes, which come in no order. What the watch tells
 * is newer than what it told before, whatever the version: in a cluster that was restored from a backup versions begin lower
 * again. Only against an answer of ours are versions compared.
 */
export class SeenDeployment {
  #now: SeenPods | null = null;
  /** The version that the watch has come to. */
  #heard: ObjectVersion = null;
  /** Of our last write, until the watch has come to it. */
  #written: ObjectVersion = null;
  /** Gone by our own doing, of which the watch still has things to say. */
  #removedUid = '';

  /** Null: there is none. */
  get now(): SeenPods | null {
    return this.#now;
  }

  /** The watch says so. False when that is no news. */
  told(seen: SeenPods): boolean {
    if (seen.uid === this.#removedUid || !this.#hear(seen.resourceVersion)) return false;
    return this.#become(seen);
  }

  /** The watch says that there is none. False when that is no news. */
  gone(version: ObjectVersion): boolean {
    this.#removedUid = '';
    if (!this.#hear(version) || this.#now === null) return false;
    this.#now = null;
    return true;
  }

  /** Before a write is sent; what is returned takes the answer to it, false when that is no news. */
  writing(): (answer: SeenPods) => boolean {
    const heardBefore = this.#heard;
    return (answer) => {
      const isHeardMeanwhile = this.#heard !== heardBefore;
      if (isHeardMeanwhile && !isOfEarlierHistory(this.#heard, answer.resourceVersion)) return false;
      // A write that changed nothing the watch says nothing of.
      const isAhead = isOfEarlierHistory(this.#heard, answer.resourceVersion);
      this.#written = isAhead ? answer.resourceVersion : null;
      return this.#become(answer);
    };
  }

  /** By us; the watch may have said so already. */
  removed(uid: string): void {
    if (this.#now?.uid !== uid) return;
    this.#removedUid = uid;
    this.#now = null;
  }

  /** False when nothing has changed. */
  #become(seen: SeenPods): boolean {
    const before = this.#now;
    this.#now = seen;
    return before?.uid !== seen.uid || before.resourceVersion !== seen.resourceVersion;
  }

  /** False for what was before our own write. */
  #hear(version: ObjectVersion): boolean {
    this.#heard = version;
    if (isOfEarlierHistory(version, this.#written)) return false;
    this.#written = null;
    return true;
  }
}
