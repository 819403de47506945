import Mocha from 'mocha';

/** Mocha's normal report, and under it the one line that a machine reads: `N passed, N failed`. */
export default class ClosingLineReporter extends Mocha.reporters.Spec {
  override epilogue(): void {
    super.epilogue();
    const { passes, failures } = this.stats;
    console.log(`${passes} passed, ${failures} failed`);
  }
}
