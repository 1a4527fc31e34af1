import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { pathOf, qrCode } from "./qr";

describe("qrCode", () => {
  it("takes the smallest version that holds the text", () => {
    expect(qrCode("a".repeat(17))!.length).toBe(21);
    expect(qrCode("a".repeat(18))!.length).toBe(25);
    expect(qrCode("a".repeat(858))!.length).toBe(97);
    expect(qrCode("a".repeat(859))).toBeNull();
  });

  it("draws what a reader was shown to read", () => {
    const drawn = pathOf(qrCode("otpauth://totp/MassiveSMS:ana@example.com?secret=JBSWY3DPEHPK3PXP&issuer=MassiveSMS")!);
    expect(createHash("sha256").update(drawn).digest("hex").slice(0, 12)).toBe("7abd749bbc79");
  });
});
