// The frame of a page: where it is, what it is called, what can be done with it.

import { Link } from '@tanstack/react-router';
import { useEffect, type ReactNode } from 'react';
import { Icon } from './Icon';
import styles from './Page.module.css';

interface PageProps {
  title: string;
  /** The list that this page belongs to. */
  parent?: { to: string; label: string };
  /** Said beside the title, such as a state. */
  aside?: ReactNode;
  actions?: ReactNode;
  /** Tables may use all of the width. */
  full?: boolean;
  children: ReactNode;
}

export function Page({ title, parent, aside, actions, full, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Tapline`;
  }, [title]);
  return (
    <div className={`${styles.page} ${full ? styles.full : ''}`}>
      <header className={styles.head}>
        <div className={styles.titles}>
          {parent && (
            <nav aria-label="Breadcrumb" className={styles.crumb}>
              <Link to={parent.to}>{parent.label}</Link>
              <Icon name="right" size={12} />
            </nav>
          )}
          <div className="row wide">
            <h1 className="break">{title}</h1>
            {aside}
          </div>
        </div>
        {actions && <div className={`row ${styles.actions}`}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

interface SectionProps {
  title: string;
  aside?: ReactNode;
  children: ReactNode;
  /** Without the card around it. */
  bare?: boolean;
}

export function Section({ title, aside, children, bare }: SectionProps) {
  return (
    <section className={styles.section} aria-label={title}>
      <div className="row between">
        <h2>{title}</h2>
        {aside}
      </div>
      {bare ? children : <div className="card">{children}</div>}
    </section>
  );
}

/** Pairs of a word and its value. */
export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className={styles.facts}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd className="break">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
