<?php

const TOLERANCE_SECONDS = 300;

/** Whether MSVS-Signature signs the body by this secret, in the last five minutes. */
function verify(string $rawBody, string $header, string $secret, ?float $now = null): bool
{
    $timestamps = [];
    $signatures = [];
    foreach (explode(',', $header) as $part) {
        [$name, $value] = [...explode('=', trim($part), 2), ''];
        if ($name === 't') {
            $timestamps[] = $value;
        } elseif ($name === 'v1') {
            $signatures[] = $value;
        }
    }
    if (count($timestamps) !== 1 || !preg_match('/^[0-9]{1,15}$/D', $timestamps[0])) {
        return false;
    }
    if (abs(($now ?? microtime(true)) - (int) $timestamps[0]) > TOLERANCE_SECONDS) {
        return false;
    }
    $expected = hash_hmac('sha256', $timestamps[0] . '.' . $rawBody, $secret);
    // There are two during a rotation; each is compared in constant time.
    $matches = false;
    foreach ($signatures as $signature) {
        $matches = hash_equals($expected, $signature) || $matches;
    }
    return $matches;
}
