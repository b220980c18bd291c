// A list in this browser's storage: its newest entries, at most so many. Where storage is full or switched off the page
// does without, and only another visit knows nothing of it.

export function list(key, most) {
  return {
    all() {
      try {
        const kept = JSON.parse(localStorage.getItem(key) ?? "[]");
        return Array.isArray(kept) ? kept : [];
      } catch {
        return [];
      }
    },
    keep(entries) {
      try { localStorage.setItem(key, JSON.stringify(entries.slice(-most))); } catch { /* said above */ }
    },
  };
}
