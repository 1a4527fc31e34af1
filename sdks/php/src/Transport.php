<?php

declare(strict_types=1);

namespace MassiveSMS;

/**
 * Sends requests. One of your own can be given to the client as `transport`.
 */
interface Transport
{
    /**
     * Send a request and return its answer of any status; do not follow redirects.
     *
     * @throws Exception\APIConnectionError where no answer comes
     * @throws Exception\APITimeoutError where none comes within $timeout seconds
     */
    public function send(Request $request, float $timeout): Response;
}
