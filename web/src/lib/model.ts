// A model's key, in the two ways it may be written.

import type { ModelSettings } from '../api/types';

export function keyOf(settings: ModelSettings): string[] {
  const key = settings.primary_key ?? [];
  return Array.isArray(key) ? key : [key];
}
