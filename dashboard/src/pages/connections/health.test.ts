import { expect, test } from "vitest";
import { healthOf, type Health, type Told } from "./health";

const active: Told = { status: "ACTIVE", paused: false, lastSync: { status: "COMPLETED" } };

test.each<[Health, Partial<Told>]>([
  ["ACTIVE", {}],
  ["ACTIVE", { lastSync: null }],
  ["SYNCING", { lastSync: { status: "RUNNING" } }],
  ["PAUSED", { paused: true, lastSync: { status: "RUNNING" } }],
  ["RETRYING", { error: { code: "unavailable" } }],
  ["STOPPED", { status: "STOPPED", error: { code: "gone" }, paused: true }],
  // Too many would leave: what to do about it goes before that it has stopped.
  ["HELD", { status: "STOPPED", error: { code: "list_shrank" }, lastSync: { status: "HELD" } }],
  ["CHECKING", { status: "CHECKING", lastSync: { status: "QUEUED" } }],
  ["WAITING", { status: "CHECKING", lastSync: null }],
  ["WAITING", { status: "CHECKING", lastSync: null, error: { code: "mapping_missing" } }],
  ["CHECKED", { status: "CHECKED" }],
])("%s", (health, changes) => {
  expect(healthOf({ ...active, ...changes })).toBe(health);
});
