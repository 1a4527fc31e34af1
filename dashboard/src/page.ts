// How a page is loaded: its code and its texts, in the moment when it is first opened.
import { lazyRouteComponent } from "@tanstack/react-router";
import type { ComponentType } from "react";
import { loadTexts } from "./i18n";

/** Return a page's component, loaded from `pages/<name>` with that folder's texts, and those of the other folders that it takes components from. */
export function lazyPage<Key extends string>(name: string, load: () => Promise<Record<Key, ComponentType>>, key: Key, others: readonly string[] = []) {
  return lazyRouteComponent(async () => {
    const [module] = await Promise.all([load(), loadTexts(name), ...others.map(loadTexts)]);
    return module;
  }, key);
}
