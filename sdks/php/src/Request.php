<?php

declare(strict_types=1);

namespace MassiveSMS;

/**
 * A request as a transport sends it.
 */
final class Request
{
    /**
     * @param array<string, string> $headers
     */
    public function __construct(
        public readonly string $method,
        public readonly string $url,
        public readonly array $headers,
        public readonly ?string $body,
    ) {
    }

    /**
     * Describe the request without its key, parameters and body.
     *
     * @return array<string, string>
     */
    public function __debugInfo(): array
    {
        return ['method' => $this->method, 'url' => explode('?', $this->url)[0]];
    }
}
