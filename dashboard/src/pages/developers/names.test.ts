import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { EVENT_TYPES, eventName, SCOPES } from "./names";

const document = readFileSync(new URL("../../../../openapi.yaml", import.meta.url), "utf8");

test("an event's type reads as webhooks write it", () => {
  expect(eventName("CONTACT_OPTED_OUT")).toBe("contact.opted_out");
  expect(eventName("BULK_ACTION_COMPLETED")).toBe("bulk_action.completed");
  expect(eventName("LIST_SYNC_FAILED")).toBe("list.sync.failed");
  expect(EVENT_TYPES.map(eventName)).toContain("test.ping");
});

test("every event of the API can be chosen, by the name that its document has", () => {
  for (const type of EVENT_TYPES) expect(document).toContain(eventName(type));
});

test("a key can be given every scope that the API's document asks for", () => {
  const asked = [...new Set([...document.matchAll(/x-scope: ([\w:]+)/g)].map(([, scope]) => scope))];
  expect(asked.length).toBeGreaterThan(10);
  expect(SCOPES).toEqual(expect.arrayContaining(asked));
});
