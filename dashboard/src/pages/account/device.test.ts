import { expect, it } from "vitest";
import { deviceOf } from "./device";

it("names browser and system, or what it was told", () => {
  expect(deviceOf("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")).toBe("Chrome · Linux");
  expect(deviceOf("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Mobile/15E148 Safari/604.1")).toBe("Safari · iOS");
  expect(deviceOf("curl/8.5.0")).toBe("curl/8.5.0");
});
