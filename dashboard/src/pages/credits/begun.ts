// Which purchase this tab began: the address to come back to is written before the purchase has an id.
const BEGUN = "msvs.purchase";

export function rememberBegun(id: string) {
  try {
    sessionStorage.setItem(BEGUN, id);
  } catch {
    // Without it the newest purchase is shown.
  }
}

export function begun(): string | null {
  try {
    return sessionStorage.getItem(BEGUN);
  } catch {
    return null;
  }
}
