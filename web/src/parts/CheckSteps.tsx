// A check, live: each step as it ends, with cause and cure.

import { Button } from '@mantine/core';
import { useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import { isAborted } from '../api/client';
import { runCheck, type CheckTarget } from '../api/events';
import type { Check, CheckStep } from '../api/types';
import { Copy } from './Copy';
import { Icon } from './Icon';
import { ProblemNote, sentence } from './Note';
import styles from './CheckSteps.module.css';

export interface Checking {
  steps: CheckStep[];
  running: boolean;
  done: Check | null;
  error: unknown;
  start: (target: CheckTarget) => Promise<Check | null>;
}

/** A check that can be started again; a running one is given up when its page goes. */
export function useCheck(): Checking {
  const [steps, setSteps] = useState<CheckStep[]>([]);
  const [running, setRunning] = useState(false);
  const [done, setDone] = useState<Check | null>(null);
  const [error, setError] = useState<unknown>(null);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const start = useCallback(async (target: CheckTarget) => {
    abort.current?.abort();
    const control = new AbortController();
    abort.current = control;
    setSteps([]);
    setDone(null);
    setError(null);
    setRunning(true);
    try {
      const check = await runCheck(target, (step) => setSteps((before) => [...before, step]), control.signal);
      setDone(check);
      return check;
    } catch (failure) {
      if (!isAborted(failure)) setError(failure);
      return null;
    } finally {
      if (abort.current === control) setRunning(false);
    }
  }, []);
  return { steps, running, done, error, start };
}

interface CheckStepsProps {
  steps: CheckStep[];
  running?: boolean;
  error?: unknown;
  again?: () => void;
  /** The policy statement that a denied step lacks, to be copied. */
  statement?: string;
  idle?: ReactNode;
}

export function CheckSteps({ steps, running, error, again, statement, idle }: CheckStepsProps) {
  const failed = steps.find((step) => !step.ok);
  return (
    <div className="stack tight" aria-live="polite" aria-busy={running}>
      {steps.length === 0 && !running && !error && idle}
      {(steps.length > 0 || running) && (
        <ol className={styles.steps}>
          {steps.map((step) => (
            <li key={step.name} className={step.ok ? styles.good : styles.bad}>
              <Icon name={step.ok ? 'check' : 'cross'} size={14} />
              <span>
                <span className="unseen">{step.ok ? 'passed: ' : 'failed: '}</span>
                {step.name}
                {step.ok && step.message && <span className={styles.found}> {step.message}</span>}
              </span>
            </li>
          ))}
          {running && (
            <li className={styles.now}>
              <span className={styles.pulse} aria-hidden="true" />
              testing
            </li>
          )}
        </ol>
      )}
      {failed && (
        <div className={styles.cause}>
          {failed.message && <p>{sentence(failed.message)}</p>}
          {failed.hint && <p className={styles.hint}>{sentence(failed.hint)}</p>}
          <div className="row">
            {failed.code && <code>{failed.code}</code>}
            {statement && <Copy text={statement} label="Copy the statement" />}
            {again && (
              <Button size="compact-xs" variant="subtle" onClick={again} leftSection={<Icon name="retry" size={14} />}>
                Test again
              </Button>
            )}
          </div>
        </div>
      )}
      {error !== null && error !== undefined && <ProblemNote error={error} />}
    </div>
  );
}
