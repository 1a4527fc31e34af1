<?php

declare(strict_types=1);

namespace MassiveSMS\Testing;

use MassiveSMS\Exception\APIConnectionError;
use MassiveSMS\Request;
use MassiveSMS\Response;
use MassiveSMS\Transport;

/**
 * Answers requests in turn from memory, and keeps them, for tests of code that uses MassiveSMS.
 */
final class FakeTransport implements Transport
{
    /** A sandbox key that is well formed and that no service knows. */
    public const KEY = 'msvs_test_0000000000000000000000000000002C8GjS';

    /** @var list<Request> What was sent until now. */
    public array $requests = [];

    /**
     * @param list<array{status?: int, headers?: array<string, string>, body?: string}|\Throwable> $answers
     */
    public function __construct(private array $answers = [])
    {
    }

    public function send(Request $request, float $timeout): Response
    {
        $this->requests[] = $request;
        $answer = array_shift($this->answers) ?? new APIConnectionError('no answer is left');
        if ($answer instanceof \Throwable) {
            throw $answer;
        }
        $headers = array_change_key_case($answer['headers'] ?? []);

        return new Response($answer['status'] ?? 200, $headers, $answer['body'] ?? '{}');
    }
}
