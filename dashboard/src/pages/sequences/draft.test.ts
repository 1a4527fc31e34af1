import { expect, test } from "vitest";
import type { SequenceFullFragment } from "@/gql/graphql";
import { draftOf, faultsOf, fieldOf, inputOf, minutesOf, moved, newStep, without } from "./draft";

const STEP = { waitMinutes: 0, anchorMinutes: null, sendAtLocal: null, otherwise: null, shortenLinks: false, onlyIf: null };
const ASKED = { filter: { all: [{ tag: "vip" }] }, clicked: null, notClicked: "plan", replied: null, notReplied: null };
const kept = {
  id: "seq_1",
  name: "Launch",
  from: null,
  steps: [
    { ...STEP, key: "plan", body: "See the plan" },
    { ...STEP, key: "nudge", body: "Did you?", waitMinutes: 2880, sendAtLocal: "10:00", onlyIf: ASKED, otherwise: "LEAVE", shortenLinks: true },
    { ...STEP, key: "live", body: "Live soon", anchorMinutes: -90 },
  ],
  entry: { listIds: ["lst_1"], keywordIds: null, tags: ["vip"], events: null },
  goal: null,
  leaveOnReply: true,
  mayReenter: false,
  quietHours: true,
  anchorAt: "2026-12-01T18:00:00Z",
} as unknown as SequenceFullFragment;

test("what is read is written as it was", () => {
  const draft = draftOf(kept, "America/Sao_Paulo");
  expect(draft.anchor).toBe("2026-12-01T15:00");
  expect(draft.steps.map(({ amount, unit, side }) => [amount, unit, side])).toEqual([["0", "minutes", "after"], ["2", "days", "after"], ["90", "minutes", "before"]]);
  const input = inputOf(draft, [], "America/Sao_Paulo");
  expect(input.steps).toEqual([
    { ...STEP, key: "plan", body: "See the plan" },
    { ...STEP, key: "nudge", body: "Did you?", waitMinutes: 2880, sendAtLocal: "10:00", onlyIf: { notClicked: "plan", filter: { all: [{ tag: "vip" }] } }, otherwise: "LEAVE", shortenLinks: true },
    { ...STEP, key: "live", body: "Live soon", anchorMinutes: -90 },
  ]);
  expect(input).toMatchObject({ entry: { listIds: ["lst_1"], keywordIds: [], tags: ["vip"], events: [] }, anchorAt: "2026-12-01T18:00:00.000Z", goal: null });
});

test("a step that is renamed is asked for by its new name, and one that is removed by none", () => {
  const draft = draftOf(kept, "UTC");
  const [plan, nudge] = draft.steps;
  const renamed = { ...draft, steps: draft.steps.map((each) => (each === plan ? { ...each, key: "course" } : each)) };
  expect(inputOf(renamed, [], "UTC").steps![1]!.onlyIf).toMatchObject({ notClicked: "course" });
  expect(without(draft.steps, plan!.uid)[0]!.asks).toEqual({});
  expect(faultsOf({ ...draft, steps: moved(draft.steps, plan!.uid, 1) }, [])).toEqual({ [`${nudge!.uid}.notClicked`]: "order" });
  expect(moved(draft.steps, plan!.uid, -1)).toBe(draft.steps);
});

test("what cannot be saved is told by its field", () => {
  const draft = draftOf(kept, "UTC");
  const [plan, nudge, live] = draft.steps.map(({ uid }) => uid);
  expect(faultsOf(draft, [])).toEqual({});
  const steps = [{ ...draft.steps[0]!, body: " " }, { ...draft.steps[1]!, key: "plan", amount: "1.5" }, { ...draft.steps[2]!, key: "Live!" }];
  expect(faultsOf({ ...draft, name: "", steps }, [])).toEqual({ name: "name", [`${plan}.body`]: "body", [`${nudge}.key`]: "twice", [`${nudge}.amount`]: "amount", [`${live}.key`]: "key" });
  expect(newStep([{ ...draft.steps[0]!, key: "step_2" }]).key).toBe("step_3");
});

test("a time is whole, and a year at most", () => {
  expect(minutesOf({ amount: "2", unit: "hours" })).toBe(120);
  expect(minutesOf({ amount: "366", unit: "days" })).toBeNull();
  expect(minutesOf({ amount: "-1", unit: "days" })).toBeNull();
  expect(minutesOf({ amount: "", unit: "days" })).toBeNull();
});

test("what the API names is the field that shows it", () => {
  const draft = draftOf(kept, "UTC");
  const [, nudge] = draft.steps;
  expect(fieldOf("steps[1].onlyIf.clicked", draft)).toBe(`${nudge!.uid}.clicked`);
  expect(fieldOf("steps[1].onlyIf.filter.all[0].field", draft)).toBe(`${nudge!.uid}.filter`);
  expect(fieldOf("steps[1].waitMinutes", draft)).toBe(`${nudge!.uid}.amount`);
  expect(fieldOf("entry.listIds[0]", draft)).toBe("entry");
  expect(fieldOf("anchorAt", draft)).toBe("anchorAt");
  expect(fieldOf(null, draft)).toBeNull();
});
