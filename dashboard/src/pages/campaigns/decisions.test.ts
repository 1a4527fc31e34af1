import { expect, test } from "vitest";
import { historyOf, isEditable, isUnapproved, whyNot } from "./decisions";

const me = { userId: "usr_1", isAdmin: true, keyOwner: null };

test("who launched a campaign does not decide about it, by hand or by a key", () => {
  expect(whyNot({ state: "required", requestedBy: "usr_2" }, me)).toBeNull();
  expect(whyNot({ state: "required", requestedBy: "usr_1" }, me)).toBe("own");
  expect(whyNot({ state: "required", requestedBy: "key_1" }, { ...me, keyOwner: "usr_1" })).toBe("own_key");
  expect(whyNot({ state: "required", requestedBy: "key_1" }, { ...me, keyOwner: "usr_2" })).toBeNull();
  expect(whyNot({ state: "required", requestedBy: null }, me)).toBeNull();
  expect(whyNot({ state: "required", requestedBy: "usr_2" }, { ...me, isAdmin: false })).toBe("role");
});

test("a campaign without an approval, or with one, needs none", () => {
  expect(isUnapproved(null)).toBe(false);
  expect(isUnapproved({ state: "approved" })).toBe(false);
  expect(isUnapproved({ state: "required" })).toBe(true);
  expect(isUnapproved({ state: "rejected" })).toBe(true);
});

test("the history tells who asked and who decided, and leaves other events out", () => {
  const asked = { type: "CAMPAIGN_APPROVAL_REQUESTED", createdAt: "2026-11-30T10:00:00Z", data: { approval: { requested_by: "usr_1", decided_by: null, comment: null, recipient_count: 600 } } };
  const rejected = { type: "CAMPAIGN_REJECTED", createdAt: "2026-11-30T11:00:00Z", data: { approval: { requested_by: "usr_1", decided_by: "usr_2", comment: "Wrong link.", recipient_count: 600 } } };
  expect(historyOf([rejected, { type: "CAMPAIGN_PAUSED", createdAt: "2026-11-30T10:30:00Z", data: {} }, asked])).toEqual([
    { what: "rejected", at: "2026-11-30T11:00:00Z", who: "usr_2", comment: "Wrong link.", count: 600 },
    { what: "asked", at: "2026-11-30T10:00:00Z", who: "usr_1", comment: null, count: 600 },
  ]);
});

test("what can be changed: drafts, what is scheduled, and what was paused before it began", () => {
  const began = "2026-11-30T10:00:00Z";
  expect(isEditable({ status: "DRAFT" })).toBe(true);
  expect(isEditable({ status: "SCHEDULED" })).toBe(true);
  expect(isEditable({ status: "PAUSED", pauseReason: "approval_required", startedAt: began, approval: { state: "required" } })).toBe(true);
  expect(isEditable({ status: "PAUSED", pauseReason: "manual", startedAt: null, approval: null })).toBe(true);
  expect(isEditable({ status: "PAUSED", pauseReason: "manual", startedAt: began, approval: { state: "rejected" } })).toBe(true);
  expect(isEditable({ status: "PAUSED", pauseReason: "manual", startedAt: began, approval: { state: "approved" } })).toBe(false);
  expect(isEditable({ status: "PAUSED", pauseReason: "insufficient_credits", startedAt: null })).toBe(false);
  expect(isEditable({ status: "SENDING", startedAt: began })).toBe(false);
});
