import { useEffect, useState } from "react";

const SETTLE_MS = 500;

/** Return a value once it has rested for a moment. */
export function useSettled<Value>(value: Value, ms = SETTLE_MS): Value {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
