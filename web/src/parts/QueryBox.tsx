// A query and its rows: the editor, run and cancel, limit, timing.

import { Button, NumberInput } from '@mantine/core';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { isAborted, problemOf } from '../api/client';
import type { ProblemAt, QueryResult } from '../api/types';
import { clock } from '../lib/format';
import { modifier } from '../lib/keyboard';
import { useNow } from '../lib/now';
import { Icon } from './Icon';
import { LazySqlEditor } from './LazySqlEditor';
import { ProblemNote } from './Note';
import { ResultFacts, ResultTable } from './Result';
import type { Vocabulary } from './sqlEditorProps';
import styles from './QueryBox.module.css';

interface QueryBoxProps {
  label: string;
  sql: string;
  onChange?: (sql: string) => void;
  vocabulary: Vocabulary;
  run: (sql: string, limit: number, signal: AbortSignal) => Promise<QueryResult>;
  /** The verb on the button. */
  verb?: string;
  readOnly?: boolean;
  mayRun: boolean;
  /** Buttons beside run. */
  aside?: ReactNode;
  /** Told the rows' columns. */
  onResult?: (result: QueryResult) => void;
  minHeight?: number;
}

const noProblems: ProblemAt[] = [];

export function QueryBox({ label, sql, onChange, vocabulary, run, verb = 'Run query', readOnly, mayRun, aside, onResult, minHeight }: QueryBoxProps) {
  const [limit, setLimit] = useState(100);
  const [started, setStarted] = useState<number | null>(null);
  const [result, setResult] = useState<QueryResult | null>(null);
  const [error, setError] = useState<unknown>(null);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);

  const start = async () => {
    if (!mayRun || sql.trim() === '') return;
    abort.current?.abort();
    const control = new AbortController();
    abort.current = control;
    setStarted(Date.now());
    setError(null);
    try {
      const rows = await run(sql, limit, control.signal);
      setResult(rows);
      onResult?.(rows);
    } catch (failure) {
      if (!isAborted(failure)) setError(failure);
    } finally {
      if (abort.current === control) setStarted(null);
    }
  };
  const problems = error === null ? noProblems : (problemOf(error).errors ?? noProblems);

  return (
    <div className="stack tight">
      <LazySqlEditor
        value={sql}
        label={label}
        vocabulary={vocabulary}
        problems={problems}
        readOnly={readOnly}
        minHeight={minHeight}
        onChange={(text) => {
          setError(null);
          onChange?.(text);
        }}
        onRun={() => void start()}
      />
      <div className="row between">
        <div className="row">
          {mayRun && started === null && (
            <Button onClick={() => void start()} leftSection={<Icon name="play" size={14} />} title={`${modifier} Enter`} disabled={sql.trim() === ''}>
              {verb}
            </Button>
          )}
          {started !== null && (
            <Button variant="default" onClick={() => abort.current?.abort()} leftSection={<Icon name="stop" size={14} />}>
              Cancel <Elapsed since={started} />
            </Button>
          )}
          {mayRun && (
            <NumberInput
              aria-label="Most rows"
              prefix="limit "
              w={112}
              min={1}
              max={1000}
              clampBehavior="strict"
              allowDecimal={false}
              value={limit}
              onChange={(value) => setLimit(typeof value === 'number' ? value : 100)}
            />
          )}
          {aside}
        </div>
        {result && error === null && <ResultFacts result={result} />}
      </div>
      {!mayRun && !readOnly && <p className="muted">Running SQL needs the role of an editor.</p>}
      {error !== null && <ProblemNote error={error} />}
      {result && error === null && (
        <div className={started === null ? undefined : styles.stale}>
          {result.row_count === 0 ? <p className="muted">The query found no rows.</p> : <ResultTable result={result} />}
        </div>
      )}
    </div>
  );
}

function Elapsed({ since }: { since: number }) {
  const now = useNow('fast');
  return <span className={`number ${styles.elapsed}`}>{clock(now - since)}</span>;
}
