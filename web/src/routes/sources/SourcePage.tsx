// Inside a source: the streams found, their columns and a sample, and a query.

import { Button, UnstyledButton } from '@mantine/core';
import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { answer, api } from '../../api/client';
import { functionsQuery, sourceQuery, streamsQuery } from '../../api/queries';
import type { QueryResult, SourceStream } from '../../api/types';
import { connectionState, sourceAddress } from '../../lib/connection';
import { bytes, counted } from '../../lib/format';
import { matches } from '../../lib/list';
import { useMay } from '../../lib/roles';
import { remove } from '../../lib/save';
import { firstQuery } from '../../lib/sql';
import { CheckSteps, useCheck } from '../../parts/CheckSteps';
import { Confirm } from '../../parts/Confirm';
import { Icon } from '../../parts/Icon';
import { Empty, ProblemNote, Waiting } from '../../parts/Note';
import { Facts, Page, Section } from '../../parts/Page';
import { QueryBox } from '../../parts/QueryBox';
import { ResultTable } from '../../parts/Result';
import { State } from '../../parts/State';
import { Time } from '../../parts/Time';
import { tell } from '../../parts/toast';
import styles from './sources.module.css';

const access = {
  iam_role: 'IAM role',
  iam_user: 'access key',
  default: 'this machine’s own identity',
  anonymous: 'none',
};

export function SourcePage() {
  const { name } = useParams({ strict: false }) as { name: string };
  const { data: source } = useSuspenseQuery(sourceQuery(name));
  const client = useQueryClient();
  const navigate = useNavigate();
  const may = useMay('editor');
  const check = useCheck();
  const streams = useQuery({ ...streamsQuery(name), enabled: !source.draft });
  const test = async () => {
    await check.start({ noun: 'sources', name });
    await client.invalidateQueries({ queryKey: ['sources'] });
  };
  const steps = check.steps.length > 0 || check.running ? check.steps : source.last_check && !source.last_check.ok ? source.last_check.steps : [];

  return (
    <Page
      title={source.name}
      parent={{ to: '/sources', label: 'Sources' }}
      aside={
        <>
          <State state={connectionState(source)} />
          {source.read_only && (
            <span className="row muted small">
              <Icon name="lock" size={12} /> from the project file
            </span>
          )}
        </>
      }
      actions={
        may && (
          <>
            <Button variant="default" loading={check.running} onClick={() => void test()}>
              Test
            </Button>
            <Button variant="default" component={Link} to={`/sources/${encodeURIComponent(name)}/edit`}>
              {source.read_only ? 'Connection' : 'Edit connection'}
            </Button>
            {!source.read_only && (
              <Confirm
                button={{ 'aria-label': `Delete ${name}`, px: 'sm' }}
                title={`Delete ${name}?`}
                words={
                  <>
                    Its connection and secrets are forgotten; the files in {sourceAddress(source)} stay as they are.
                    {source.models > 0 && ` ${counted(source.models, 'model')} read it and must go first.`}
                  </>
                }
                verb="Delete source"
                act={async () => {
                  await navigate({ to: '/sources' });
                  await remove(client, 'sources', name);
                  tell(`Deleted ${name}`);
                }}
              >
                <Icon name="trash" />
              </Confirm>
            )}
            <Button component={Link} to="/models/new" search={{ source: name } as never}>
              Write a model
            </Button>
          </>
        )
      }
    >
      <Facts
        facts={[
          ['Address', <span key="address" className="mono">{sourceAddress(source)}</span>],
          ['Region', source.settings.region ?? 'auto'],
          ['Type', source.settings.file_type ?? 'any'],
          ['Access', access[source.settings.auth?.type ?? 'default']],
          ...(source.settings.endpoint ? [['Endpoint', source.settings.endpoint] as [string, string]] : []),
          ['Models', source.models],
          ['Checked', <Time key="checked" at={source.last_check?.at} />],
        ]}
      />
      {(steps.length > 0 || check.running || check.error !== null) && (
        <div className="card">
          <CheckSteps steps={steps} running={check.running} error={check.error} again={may ? () => void test() : undefined} />
        </div>
      )}
      {source.draft ? (
        <Empty
          icon="source"
          title="A draft"
          action={
            may && (
              <Button component={Link} to={`/sources/${encodeURIComponent(name)}/edit`}>
                Finish the connection
              </Button>
            )
          }
        >
          This source is kept but does not work yet. Finish its connection and test it to see what is inside.
        </Empty>
      ) : (
        <>
          {streams.isLoading && <Waiting lines={6} />}
          {streams.error && <ProblemNote error={streams.error} />}
          {streams.data?.length === 0 && (
            <Empty icon="file" title="No files found">
              Nothing at {sourceAddress(source)} fits the type {source.settings.file_type ?? 'any'}. See that the path is right, or choose the
              type any.
            </Empty>
          )}
          {streams.data && streams.data.length > 0 && <Inside source={name} streams={streams.data} may={may} />}
        </>
      )}
    </Page>
  );
}

const mostStreams = 300;

function Inside({ source, streams, may }: { source: string; streams: SourceStream[]; may: boolean }) {
  const [chosen, setChosen] = useState(0);
  const [query, setQuery] = useState('');
  const [sql, setSql] = useState(() => (streams[0] ? firstQuery(streams[0], 20) : ''));
  const functions = useQuery({ ...functionsQuery, enabled: may }).data ?? [];
  const stream = streams[chosen] ?? streams[0];
  const found = streams.map((item, index) => ({ item, index })).filter(({ item }) => !query || matches(item.name, query));
  const run = (text: string, limit: number, signal: AbortSignal) =>
    answer(api.POST('/sources/{name}/query', { params: { path: { name: source } }, body: { sql: text, limit }, signal }));
  if (!stream) return null;
  return (
    <>
      <Section
        title="Streams"
        bare
        aside={
          <span className="muted number">
            {counted(streams.length, 'stream')}, {bytes(streams.reduce((sum, item) => sum + item.bytes, 0))}
          </span>
        }
      >
        <div className={styles.streamList}>
          <div className="stack tight">
            {streams.length > 8 && (
              <input
                type="search"
                className={styles.filter}
                data-list-search
                aria-label="Search streams"
                placeholder="Search"
                value={query}
                onChange={(event) => setQuery(event.currentTarget.value)}
              />
            )}
            <ul className={styles.streams} aria-label="Streams">
              {found.slice(0, mostStreams).map(({ item, index }) => (
                <li key={item.path}>
                  <UnstyledButton className={styles.stream} aria-pressed={index === chosen} onClick={() => {
                    setChosen(index);
                    setSql(firstQuery(item, 20));
                  }}>
                    <span className={styles.streamName}>{item.name}</span>
                    <br />
                    <span className="muted small number">
                      {item.format} · {counted(item.files, 'file')} · {bytes(item.bytes)} · {counted(item.columns.length, 'column')}
                    </span>
                  </UnstyledButton>
                </li>
              ))}
            </ul>
            {found.length > mostStreams && <p className="muted small">Search to see the other {found.length - mostStreams}.</p>}
          </div>
          <StreamDetail key={stream.path} source={source} stream={stream} may={may} run={run} />
        </div>
      </Section>
      {may && (
        <Section
          title="Test query"
          bare
          aside={
            <Button component={Link} to="/models/new" search={{ source, ...(sql === firstQuery(stream, 20) ? { from: stream.path } : { sql }) } as never} variant="subtle" size="compact-sm">
              Make it a model
            </Button>
          }
        >
          <QueryBox label="SQL" sql={sql} onChange={setSql} vocabulary={{ streams, functions }} run={run} mayRun={may} minHeight={80} />
        </Section>
      )}
    </>
  );
}

interface StreamDetailProps {
  source: string;
  stream: SourceStream;
  may: boolean;
  run: (sql: string, limit: number, signal: AbortSignal) => Promise<QueryResult>;
}

function StreamDetail({ source, stream, may, run }: StreamDetailProps) {
  const sample = useQuery({
    queryKey: ['sources', source, 'sample', stream.path],
    queryFn: ({ signal }) => run(firstQuery(stream, 5), 5, signal),
    enabled: may,
    staleTime: 60_000,
    retry: false,
  });
  return (
    <div className="card stack">
      <div>
        <h3 className="break">{stream.name}</h3>
        <code className="muted break">{stream.path}</code>
      </div>
      <div style={{ overflow: 'auto', maxHeight: 320 }} tabIndex={0} role="region" aria-label="Columns">
        <table className={styles.columns}>
          <thead>
            <tr>
              <th scope="col">Column</th>
              <th scope="col">Type</th>
              <th scope="col">Empty values</th>
            </tr>
          </thead>
          <tbody>
            {stream.columns.map((column) => (
              <tr key={column.name}>
                <td className="mono">{column.name}</td>
                <td className="mono">{column.type}</td>
                <td className="muted">{column.nullable === false ? 'none' : 'possible'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {may && (
        <div className="stack tight">
          <h3>Sample</h3>
          {sample.isLoading && <Waiting lines={3} />}
          {sample.error && <ProblemNote error={sample.error} />}
          {sample.data && <ResultTable result={sample.data} />}
        </div>
      )}
    </div>
  );
}
