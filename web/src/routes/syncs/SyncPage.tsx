// One sync: how it stands, its last run, rejected rows, its history.

import { Button, Menu, ActionIcon, Modal, TextInput } from '@mantine/core';
import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { answer, api } from '../../api/client';
import { runsQuery, syncQuery } from '../../api/queries';
import type { Run, RunRequest, Sync } from '../../api/types';
import { bytes, count, duration } from '../../lib/format';
import { isTyping } from '../../lib/keyboard';
import { useMay } from '../../lib/roles';
import { causeWords, delivered } from '../../lib/runs';
import { remove } from '../../lib/save';
import { Confirm } from '../../parts/Confirm';
import { DataTable, type ColumnOf } from '../../parts/DataTable';
import { Icon } from '../../parts/Icon';
import { Empty, ProblemNote, ReportNote } from '../../parts/Note';
import { Facts, Page, Section } from '../../parts/Page';
import { State } from '../../parts/State';
import { Time } from '../../parts/Time';
import { tell } from '../../parts/toast';
import { Flow } from '../runs/Flow';
import { Rejects } from '../runs/Rejects';

const columns: ColumnOf<Run>[] = [
  { id: 'run', label: 'Run', value: (run) => run.generation, show: (run) => `run ${run.generation}` },
  { id: 'state', label: 'State', value: (run) => run.status, show: (run) => <State state={run.status} /> },
  { id: 'rows', label: 'Delivered', align: 'right', value: (run) => delivered(run.rows), show: (run) => count(delivered(run.rows)) },
  { id: 'rejected', label: 'Rejected', align: 'right', value: (run) => run.rows.rejected, show: (run) => count(run.rows.rejected) },
  { id: 'read', label: 'Read', align: 'right', value: (run) => run.bytes_read, show: (run) => bytes(run.bytes_read), wideOnly: true },
  { id: 'took', label: 'Took', align: 'right', value: (run) => run.duration_ms, show: (run) => (run.status === 'running' ? '' : duration(run.duration_ms)) },
  { id: 'when', label: 'Started', value: (run) => run.started_at, show: (run) => <Time at={run.started_at} /> },
  { id: 'cause', label: 'Cause', value: (run) => run.cause, show: causeWords, wideOnly: true },
];

export function SyncPage() {
  const { name } = useParams({ strict: false }) as { name: string };
  const { data: sync } = useSuspenseQuery({ ...syncQuery(name), refetchInterval: 5_000 });
  const runs = useQuery({ ...runsQuery(name), refetchInterval: 5_000 });
  const client = useQueryClient();
  const navigate = useNavigate();
  const may = useMay('editor');
  const admin = useMay('admin');
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);

  const refresh = () => client.invalidateQueries({ queryKey: ['syncs'] });
  const start = async (options: RunRequest = {}) => {
    setBusy(true);
    setError(null);
    try {
      const run = await answer(api.POST('/syncs/{name}/runs', { params: { path: { name } }, body: options }));
      await client.invalidateQueries({ queryKey: ['runs'] });
      await navigate({ to: '/runs/$id', params: { id: run.id } });
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  const act = async (path: '/syncs/{name}/pause' | '/syncs/{name}/resume', words: string) => {
    setError(null);
    try {
      await api.POST(path, { params: { path: { name } } });
      await refresh();
      tell(words);
    } catch (failure) {
      setError(failure);
    }
  };
  useRunKey(may && !busy && sync.state !== 'running' && !sync.draft, () => void start());
  const last = sync.last_run;
  const running = last?.status === 'running';

  return (
    <Page
      title={sync.name}
      parent={{ to: '/syncs', label: 'Syncs' }}
      aside={
        <>
          <State state={sync.draft ? 'draft' : sync.state} />
          {sync.read_only && (
            <span className="row muted small">
              <Icon name="lock" size={12} /> from the project file
            </span>
          )}
        </>
      }
      actions={
        may && (
          <>
            <Actions sync={sync} admin={admin} start={start} done={refresh} />
            {sync.schedule !== 'manual' &&
              (sync.paused ? (
                <Button variant="default" onClick={() => void act('/syncs/{name}/resume', `${name} runs on its schedule again`)}>
                  Resume schedule
                </Button>
              ) : (
                <Button variant="default" leftSection={<Icon name="pause" size={14} />} onClick={() => void act('/syncs/{name}/pause', `${name} is paused`)}>
                  Pause
                </Button>
              ))}
            <Button variant="default" component={Link} to={`/syncs/${encodeURIComponent(name)}/edit`}>
              {sync.read_only ? 'Settings' : 'Edit'}
            </Button>
            {running && last ? (
              <Button component={Link} to={`/runs/${last.id}`}>
                Watch the run
              </Button>
            ) : (
              <Button loading={busy} disabled={sync.draft} onClick={() => void start()} leftSection={<Icon name="play" size={14} />}>
                Run sync
              </Button>
            )}
          </>
        )
      }
    >
      {error !== null && <ProblemNote error={error} />}
      <Facts
        facts={[
          ['Model', <Link key="model" to="/models/$name" params={{ name: sync.settings.model }}>{sync.settings.model}</Link>],
          ['Destination', <Link key="destination" to="/destinations/$name" params={{ name: sync.settings.destination }}>{sync.settings.destination}</Link>],
          ['Stream', <span key="stream" className="mono">{sync.settings.stream}</span>],
          ['Mode', sync.settings.mode === 'incremental' ? 'incremental' : 'full refresh'],
          ['Schedule', sync.paused ? `${sync.schedule}, paused` : sync.schedule],
          ['Next run', <Time key="next" at={sync.paused ? null : sync.next_run} none={sync.paused ? 'paused' : 'by hand'} />],
        ]}
      />
      {last?.error && <ReportNote report={last.error} tone={last.status === 'stopped' ? 'warn' : 'bad'} />}
      {last ? (
        <Section
          title={`Run ${last.generation}`}
          bare
          aside={
            <span className="row wide">
              <State state={last.status} />
              <Time at={last.started_at} />
              <Link to="/runs/$id" params={{ id: last.id }}>
                Open
              </Link>
            </span>
          }
        >
          <Flow run={last} />
        </Section>
      ) : (
        <Empty icon="play" title="Not run yet">
          {sync.draft ? 'This sync is a draft. Edit it to finish and plan it.' : 'Edit the sync to see the plan of its first run, or run it.'}
        </Empty>
      )}
      <Rejects sync={name} open={sync.open_rejects} lines={last?.source_rows.rejected ?? 0} />
      {runs.error && <ProblemNote error={runs.error} />}
      {runs.data && runs.data.items.length > 0 && (
        <Section title="History" bare>
          <DataTable
            label="runs"
            rows={runs.data.items}
            columns={columns}
            sort="-run"
            rowKey={(run) => run.id}
            link={(run) => `/runs/${run.id}`}
            text={(run) => `run ${run.generation} ${run.status} ${run.cause} ${run.by ?? ''} ${run.error?.message ?? ''}`}
          />
        </Section>
      )}
      {admin && !sync.read_only && (
        <div>
          <Confirm
            title={`Delete ${name}?`}
            words="Its schedule, history and what it knows of delivered rows are forgotten. The rows at the destination stay where they are."
            verb="Delete sync"
            type={name}
            act={async () => {
              await remove(client, 'syncs', name);
              tell(`Deleted ${name}`);
              await navigate({ to: '/syncs' });
            }}
          >
            Delete this sync
          </Confirm>
        </div>
      )}
    </Page>
  );
}

/** Ctrl Enter runs the sync, wherever the focus is but in a field. */
function useRunKey(active: boolean, run: () => void) {
  useEffect(() => {
    if (!active) return;
    const listen = (event: KeyboardEvent) => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || isTyping(event.target)) return;
      event.preventDefault();
      run();
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  });
}

interface Question {
  title: string;
  words: string;
  verb: string;
  act: () => Promise<unknown>;
}

interface ActionsProps {
  sync: Sync;
  admin: boolean;
  start: (options?: RunRequest) => Promise<void>;
  done: () => Promise<unknown>;
}

/** What is rarely done, and asked about first. */
function Actions({ sync, admin, start, done }: ActionsProps) {
  const { name } = sync;
  const [question, setQuestion] = useState<Question | null>(null);
  const [typed, setTyped] = useState('');
  const [error, setError] = useState<unknown>(null);
  const ask = (asked: Question) => {
    setTyped('');
    setError(null);
    setQuestion(asked);
  };
  const goOn = async () => {
    try {
      await question?.act();
      setQuestion(null);
      await done();
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <>
      <Menu position="bottom-end" width={280}>
        <Menu.Target>
          <ActionIcon variant="default" size={36} aria-label="More actions">
            <Icon name="more" />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            onClick={() =>
              ask({
                title: 'Run a full refresh?',
                words: `Every row of the model is sent again. Afterwards ${sync.settings.stream} equals the model; rows gone from the model are deleted there.`,
                verb: 'Run full refresh',
                act: () => start({ full_refresh: true }),
              })
            }
          >
            Run a full refresh
          </Menu.Item>
          <Menu.Item
            onClick={() =>
              ask({
                title: 'Run although it may be empty?',
                words: 'A model without rows stops a run, since that is mostly an accident. This run goes on even then, and rows gone may be deleted.',
                verb: 'Run anyway',
                act: () => start({ allow_empty: true }),
              })
            }
          >
            Run and allow an empty model
          </Menu.Item>
          {sync.settings.mode === 'full_refresh' && (
            <Menu.Item
              onClick={() =>
                ask({
                  title: 'Replace what is there?',
                  words: `Rows in ${sync.settings.stream} that Tapline did not deliver are deleted by this run.`,
                  verb: 'Replace and run',
                  act: () => start({ replace_existing: true }),
                })
              }
            >
              Run and replace what others wrote
            </Menu.Item>
          )}
          {admin && (
            <>
              <Menu.Divider />
              <Menu.Item
                onClick={() =>
                  ask({
                    title: 'Take the destination’s content as delivered?',
                    words: `What ${sync.settings.stream} holds now is read and counts as delivered; the next run sends only what differs.`,
                    verb: 'Adopt',
                    act: () => api.POST('/syncs/{name}/adopt', { params: { path: { name } } }),
                  })
                }
              >
                Adopt what is there
              </Menu.Item>
              <Menu.Item
                color="red"
                onClick={() =>
                  ask({
                    title: 'Forget what was delivered?',
                    words: 'The next run takes every row for new. Rows at the destination stay where they are.',
                    verb: 'Reset',
                    act: () => api.POST('/syncs/{name}/reset', { params: { path: { name } }, body: { confirm: name } }),
                  })
                }
              >
                Reset
              </Menu.Item>
            </>
          )}
        </Menu.Dropdown>
      </Menu>
      <Modal opened={question !== null} onClose={() => setQuestion(null)} title={question?.title} closeButtonProps={{ 'aria-label': 'Close' }}>
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void goOn();
          }}
        >
          <div>{question?.words}</div>
          {question?.verb === 'Reset' && (
            <TextInput label={`Type ${name} to go on`} value={typed} onChange={(event) => setTyped(event.currentTarget.value)} data-autofocus />
          )}
          {error !== null && <ProblemNote error={error} />}
          <div className="row" style={{ justifyContent: 'flex-end' }}>
            <Button variant="default" onClick={() => setQuestion(null)}>
              Cancel
            </Button>
            <Button type="submit" color="red" disabled={question?.verb === 'Reset' && typed !== name}>
              {question?.verb}
            </Button>
          </div>
        </form>
      </Modal>
    </>
  );
}
