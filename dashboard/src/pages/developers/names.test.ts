import { expect, test } from "vitest";
import { EVENT_TYPES, eventName } from "./names";

test("an event's type reads as webhooks write it", () => {
  expect(eventName("CONTACT_OPTED_OUT")).toBe("contact.opted_out");
  expect(EVENT_TYPES.map(eventName)).toContain("test.ping");
});
