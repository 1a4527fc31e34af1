import type { Client } from "@urql/core";
import { afterEach, expect, test, vi } from "vitest";
import { PART_BYTES, partsOf, upload } from "./upload";

afterEach(() => vi.unstubAllGlobals());

test("a small file is one part, which is the last", () => {
  expect(partsOf(10, 0)).toEqual([{ start: 0, end: 10, isLast: true }]);
});

test("parts follow each other to the end, and only the last one ends the file", () => {
  const parts = partsOf(2 * PART_BYTES + 1, 0);
  expect(parts.map(({ end, start }) => end - start)).toEqual([PART_BYTES, PART_BYTES, 1]);
  expect(parts.map(({ isLast }) => isLast)).toEqual([false, false, true]);
});

test("what broke off goes on where it was, also where only its end is missing", () => {
  expect(partsOf(PART_BYTES + 5, PART_BYTES)).toEqual([{ start: PART_BYTES, end: PART_BYTES + 5, isLast: true }]);
  expect(partsOf(7, 7)).toEqual([{ start: 7, end: 7, isLast: true }]);
});

test("the import is read again once its last part has come, so that its page goes on", async () => {
  const steps: string[] = [];
  const come = [
    { status: "UPLOADING", fileSize: 0, uploadUrl: "https://sms.cohortlabs.example/f/signed" },
    { status: "QUEUED", fileSize: PART_BYTES + 1, uploadUrl: null },
  ];
  const query = () => ({
    toPromise: () => {
      const contactImport = come.shift() ?? expect.unreachable();
      steps.push(contactImport.status);
      return Promise.resolve({ data: { contactImport } });
    },
  });
  vi.stubGlobal("fetch", (address: string) => {
    steps.push(address);
    return Promise.resolve(new Response(null));
  });
  await upload({ query } as unknown as Client, "imp_1", new File([new Uint8Array(PART_BYTES + 1)], "long.csv"), 0);
  expect(steps).toEqual(["UPLOADING", "/f/signed?offset=0&last=false", `/f/signed?offset=${PART_BYTES}&last=true`, "QUEUED"]);
});
