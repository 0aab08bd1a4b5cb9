// The versions of a model, and what changed from one to the next.

import { Button, UnstyledButton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useState } from 'react';
import { versionsQuery } from '../../api/queries';
import type { Model, ModelVersion } from '../../api/types';
import { ProblemNote } from '../../parts/Note';
import { Section } from '../../parts/Page';
import { Time } from '../../parts/Time';
import { tell } from '../../parts/toast';
import styles from './models.module.css';

const SqlDiff = lazy(() => import('../../parts/SqlDiff'));

interface VersionsProps {
  model: Model;
  current: string;
  /** Puts a version's SQL into the editor. */
  restore?: (sql: string) => void;
}

export function Versions({ model, current, restore }: VersionsProps) {
  const { data, error } = useQuery(versionsQuery(model.name));
  const [chosen, setChosen] = useState<number | null>(null);
  if (error) return <ProblemNote error={error} />;
  if (!data || data.length === 0) return null;
  const versions = [...data].sort((a, b) => b.version - a.version);
  const version = versions.find((item) => item.version === chosen);
  const before: ModelVersion | undefined = version && versions.find((item) => item.version < version.version);
  return (
    <Section title="Versions">
      <div className={styles.versions}>
        <ol className={styles.versionList} aria-label="Versions">
          {versions.map((item) => (
            <li key={item.version}>
              <UnstyledButton
                className={styles.version}
                aria-pressed={item.version === chosen}
                onClick={() => setChosen(item.version === chosen ? null : item.version)}
              >
                <span className="number">Version {item.version}</span>
                <span className="muted small">
                  <Time at={item.at} />
                  {item.by && ` by ${item.by}`}
                </span>
              </UnstyledButton>
            </li>
          ))}
        </ol>
        <div className="stack tight">
          {!version && <p className="muted">Choose a version to see what it changed.</p>}
          {version && (
            <>
              <div className="row between">
                <span className="muted">
                  {before ? `What version ${version.version} changed in version ${before.version}` : 'The first version'}
                </span>
                {restore && version.sql !== current && (
                  <Button
                    size="compact-sm"
                    variant="default"
                    onClick={() => {
                      restore(version.sql);
                      tell(`The SQL of version ${version.version} is in the editor; save to keep it`);
                    }}
                  >
                    Bring back
                  </Button>
                )}
              </div>
              <Suspense fallback={<pre className="mono">{version.sql}</pre>}>
                <SqlDiff before={before?.sql ?? version.sql} after={version.sql} label={`SQL of version ${version.version}`} />
              </Suspense>
            </>
          )}
        </div>
      </div>
    </Section>
  );
}
