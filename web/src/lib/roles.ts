// Who may do what. The server decides; the pages only leave out what would be refused.

import { useSuspenseQuery } from '@tanstack/react-query';
import { sessionQuery } from '../api/queries';
import type { Role } from '../api/types';

const rank: Record<Role, number> = { viewer: 0, editor: 1, admin: 2 };

export function mayAs(role: Role | undefined, needed: Role): boolean {
  return role !== undefined && rank[role] >= rank[needed];
}

/** Whether the person who is signed in has at least this role. */
export function useMay(needed: Role): boolean {
  const { data } = useSuspenseQuery(sessionQuery);
  return mayAs(data.user?.role, needed);
}
