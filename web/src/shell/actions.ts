// What the palette can open besides things by name.

import type { Role } from '../api/types';
import type { IconName } from '../parts/Icon';

export interface Action {
  label: string;
  to: string;
  icon: IconName;
  hint?: string;
  needs?: Role;
}

export const pages: Action[] = [
  { label: 'Home', to: '/', icon: 'home', hint: 'g h' },
  { label: 'Sources', to: '/sources', icon: 'source', hint: 'g s' },
  { label: 'Models', to: '/models', icon: 'model', hint: 'g m' },
  { label: 'Syncs', to: '/syncs', icon: 'sync', hint: 'g y' },
  { label: 'Destinations', to: '/destinations', icon: 'destination', hint: 'g d' },
  { label: 'Settings', to: '/settings', icon: 'settings', hint: 'g ,' },
];

export const actions: Action[] = [
  { label: 'Add an S3 source', to: '/sources/new', icon: 'plus', needs: 'editor' },
  { label: 'Write a model', to: '/models/new', icon: 'plus', needs: 'editor' },
  { label: 'Add a destination', to: '/destinations/new', icon: 'plus', needs: 'editor' },
  { label: 'Set up a sync', to: '/syncs/new', icon: 'plus', needs: 'editor' },
  { label: 'Users', to: '/settings/users', icon: 'settings', needs: 'admin' },
  { label: 'API tokens', to: '/settings/tokens', icon: 'settings', needs: 'admin' },
  { label: 'Alerts', to: '/settings/alerts', icon: 'settings' },
  { label: 'Audit log', to: '/settings/audit', icon: 'settings', needs: 'admin' },
];
