<?php

declare(strict_types=1);

namespace MassiveSMS;

use MassiveSMS\Exception\ConfigurationError;
use MassiveSMS\Exception\InvalidPayloadError;
use MassiveSMS\Exception\SignatureVerificationError;
use MassiveSMS\Model\Event;

/**
 * Verification of webhooks.
 */
final class Webhooks
{
    public const HEADER = 'MSVS-Signature';
    public const TOLERANCE = 300;

    private const STANDARD_HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature'];

    private const RAW = "file_get_contents('php://input'), \$request->getContent() in Laravel, "
        . '(string) $request->getBody() in Slim';

    /**
     * Verify a webhook and return its event.
     *
     * @param string $payload the body of the request, byte for byte, before anything parses it
     * @param string|null $header its MSVS-Signature header
     * @param string $secret the secret of the webhook
     * @param int $tolerance how many seconds it may be old or early
     *
     * @throws SignatureVerificationError where it is not to be trusted: answer 400
     * @throws InvalidPayloadError where it is signed, and no event
     */
    public static function constructEvent(
        mixed $payload,
        ?string $header,
        #[\SensitiveParameter] string $secret,
        int $tolerance = self::TOLERANCE,
        ?int $now = null,
    ): Event {
        self::verify($payload, $header, $secret, $tolerance, $now);

        return self::event($payload);
    }

    /**
     * Verify a webhook with `standard_webhooks` by the headers of Standard Webhooks, and return its event.
     *
     * @param string $payload the body of the request, byte for byte, before anything parses it
     * @param array<string, string|list<string>> $headers the headers of the request, by their names in any case
     * @param string $secret the secret of the webhook
     * @param int $tolerance how many seconds it may be old or early
     *
     * @throws SignatureVerificationError where it is not to be trusted: answer 400
     * @throws InvalidPayloadError where it is signed, and no event
     */
    public static function constructStandardEvent(
        mixed $payload,
        array $headers,
        #[\SensitiveParameter] string $secret,
        int $tolerance = self::TOLERANCE,
        ?int $now = null,
    ): Event {
        self::verifyStandard($payload, $headers, $secret, $tolerance, $now);

        return self::event($payload);
    }

    private static function event(string $payload): Event
    {
        $value = json_decode($payload, true);
        if (!is_array($value) || !is_string($value['type'] ?? null)) {
            throw new InvalidPayloadError('The body of the webhook is not an event');
        }

        return Event::of($value);
    }

    /**
     * Throw unless a signature of the header is of this payload and secret, and its time within the tolerance.
     *
     * @param string $payload the body of the request, byte for byte, before anything parses it
     */
    public static function verify(
        mixed $payload,
        ?string $header,
        #[\SensitiveParameter] string $secret,
        int $tolerance = self::TOLERANCE,
        ?int $now = null,
    ): void {
        self::check($payload, $secret);
        if ($header === null || $header === '') {
            throw new SignatureVerificationError('header_missing', 'The request has no ' . self::HEADER . ' header');
        }
        [$timestamp, $candidates] = self::read($header);
        self::checkTime($timestamp, $tolerance, $now);
        self::checkAny(self::signature($payload, $secret, $timestamp), $candidates);
    }

    /**
     * Throw unless the headers of Standard Webhooks have such a signature.
     *
     * @param string $payload the body of the request, byte for byte, before anything parses it
     * @param array<string, string|list<string>> $headers the headers of the request, by their names in any case
     */
    public static function verifyStandard(
        mixed $payload,
        array $headers,
        #[\SensitiveParameter] string $secret,
        int $tolerance = self::TOLERANCE,
        ?int $now = null,
    ): void {
        self::check($payload, $secret);
        $given = array_change_key_case($headers);
        $found = [];
        foreach (self::STANDARD_HEADERS as $name) {
            $value = $given[$name] ?? '';
            $found[] = is_array($value) ? implode(' ', $value) : $value;
        }
        [$id, $time, $signatures] = $found;
        if (in_array('', $found, true)) {
            throw new SignatureVerificationError('header_missing', 'The request has no headers of Standard Webhooks');
        }
        $marks = array_filter(explode(' ', $signatures), static fn (string $each) => str_starts_with($each, 'v1,'));
        if (preg_match('/\A[0-9]{1,12}\z/', $time) !== 1 || $marks === []) {
            $told = 'The headers of Standard Webhooks cannot be read';
            throw new SignatureVerificationError('header_malformed', $told);
        }
        self::checkTime((int) $time, $tolerance, $now);
        $key = base64_decode(preg_replace('/\Awhsec_/', '', $secret), true);
        $expected = base64_encode(hash_hmac('sha256', "$id.$time.$payload", (string) $key, true));
        $candidates = array_map(static fn (string $each) => substr($each, 3), array_values($marks));
        self::checkAny($expected, $key === false || $key === '' ? [] : $candidates);
    }

    private static function check(mixed $payload, #[\SensitiveParameter] string $secret): void
    {
        if (!is_string($payload)) {
            $told = 'The payload is ' . get_debug_type($payload) . ', and must be the body as it came, a string: ';
            throw new ConfigurationError($told . self::RAW);
        }
        if ($secret === '') {
            throw new SignatureVerificationError('secret_missing', 'No webhook secret: it is shown when the webhook is made');
        }
    }

    private static function checkTime(int $timestamp, int $tolerance, ?int $now): void
    {
        if (abs(($now ?? time()) - $timestamp) > $tolerance) {
            $told = 'The webhook was signed too long ago, or in the future: it may be a replay';
            throw new SignatureVerificationError('timestamp_outside_tolerance', $told);
        }
    }

    /**
     * @param list<string> $candidates
     */
    private static function checkAny(string $expected, array $candidates): void
    {
        $found = array_filter($candidates, static fn (string $each) => hash_equals($expected, $each));
        if ($found === []) {
            $told = 'No signature fits: check that the secret is of this webhook, and that the payload is the body as it '
                . 'came, before any parser: ';
            throw new SignatureVerificationError('no_match', $told . self::RAW);
        }
    }

    /**
     * Return the header that signs a payload, for tests of receivers.
     */
    public static function sign(string $payload, #[\SensitiveParameter] string $secret, ?int $timestamp = null): string
    {
        $timestamp ??= time();

        return "t=$timestamp,v1=" . self::signature($payload, $secret, $timestamp);
    }

    /**
     * @return array{int, list<string>}
     */
    private static function read(string $header): array
    {
        $found = ['t' => [], 'v1' => []];
        foreach (explode(',', $header) as $part) {
            [$name, $value] = explode('=', trim($part), 2) + [1 => ''];
            $found[$name][] = $value;
        }
        $well = count($found['t']) === 1 && preg_match('/\A[0-9]{1,15}\z/', $found['t'][0]) === 1 && $found['v1'] !== [];
        if (!$well) {
            $told = 'The ' . self::HEADER . ' header cannot be read: it is t=…,v1=…';
            throw new SignatureVerificationError('header_malformed', $told);
        }

        return [(int) $found['t'][0], $found['v1']];
    }

    private static function signature(string $payload, #[\SensitiveParameter] string $secret, int $timestamp): string
    {
        return hash_hmac('sha256', "$timestamp.$payload", $secret);
    }
}
