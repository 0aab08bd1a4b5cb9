// Errors, empty pages, waiting: what a page shows when there is nothing else to show.

import { Skeleton } from '@mantine/core';
import { useEffect, useState, type ReactNode } from 'react';
import { problemOf } from '../api/client';
import type { ErrorReport, Problem } from '../api/types';
import { Icon, type IconName } from './Icon';
import styles from './Note.module.css';

/** What happened and why, what to do, and the code: in this order. */
export function ProblemNote({ error, action }: { error: unknown; action?: ReactNode }) {
  const problem: Problem = problemOf(error);
  return (
    <Trouble code={problem.code} message={problem.detail} hints={problem.hints ?? []} action={action}>
      {problem.errors && problem.errors.length > 0 && (
        <ul className={styles.hints}>
          {problem.errors.map((at) => (
            <li key={`${at.pointer} ${at.detail}`}>
              {at.pointer && <code>{at.pointer.replace(/^\/(settings\/)?/, '').replaceAll('/', '.')}</code>}{' '}
              {typeof at.line === 'number' && `line ${at.line}, column ${at.column ?? 1}: `}
              {at.detail}
              {at.hints?.map((hint) => <p key={hint} className={styles.hint}>{sentence(hint)}</p>)}
            </li>
          ))}
        </ul>
      )}
    </Trouble>
  );
}

export function ReportNote({ report, tone, action }: { report: ErrorReport; tone?: 'bad' | 'warn'; action?: ReactNode }) {
  return (
    <Trouble
      code={report.code}
      message={report.message}
      hints={report.hint ? report.hint.split('\n') : []}
      tone={tone}
      action={action}
    />
  );
}

interface TroubleProps {
  code: string;
  message: string;
  hints: string[];
  tone?: 'bad' | 'warn';
  action?: ReactNode;
  children?: ReactNode;
}

export function Trouble({ code, message, hints, tone = 'bad', action, children }: TroubleProps) {
  return (
    <div className={`${styles.trouble} ${styles[tone]}`} role="alert">
      <Icon name="warning" />
      <div className={styles.words}>
        <p>{sentence(message)}</p>
        {children}
        {hints.map((hint) => (
          <p key={hint} className={styles.hint}>
            {sentence(hint)}
          </p>
        ))}
        <div className="row">
          <code className={styles.code}>{code}</code>
          {action}
        </div>
      </div>
    </div>
  );
}

/** Messages of the engine begin in lower case; on a page they are sentences. */
export function sentence(text: string): string {
  // A code or a path at the beginning stays as it is.
  return /^[a-z]+[ ,:]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

interface EmptyProps {
  icon: IconName;
  title: string;
  children: ReactNode;
  action?: ReactNode;
}

/** An empty page says the next step and offers it. */
export function Empty({ icon, title, children, action }: EmptyProps) {
  return (
    <div className={styles.empty}>
      <span className={styles.emblem}>
        <Icon name={icon} size={24} />
      </span>
      <h2>{title}</h2>
      <p className="muted">{children}</p>
      {action}
    </div>
  );
}

/** True once `waiting` has lasted for 300 ms: quick answers show no skeleton at all. */
export function useSlow(waiting: boolean): boolean {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    if (!waiting) return;
    const timer = setTimeout(() => setSlow(true), 300);
    return () => {
      clearTimeout(timer);
      setSlow(false);
    };
  }, [waiting]);
  return slow;
}

/** Lines that hold the place of what is coming. */
export function Waiting({ lines = 5 }: { lines?: number }) {
  const slow = useSlow(true);
  return (
    <div className="stack tight" aria-busy="true" aria-live="polite">
      <span className="unseen">Loading</span>
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} height={20} visible={slow} animate={slow} style={{ opacity: slow ? 1 : 0 }} />
      ))}
    </div>
  );
}
