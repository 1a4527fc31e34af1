<?php

declare(strict_types=1);

namespace MassiveSMS;

/**
 * One page of a list, newest first.
 *
 * @template T of Model
 */
final class Page
{
    /** @var list<T> The resources of this page. */
    public readonly array $data;
    /** Whether there is more in the direction asked for. */
    public readonly bool $hasMore;
    /** Where to go on from a page that is short of its limit before the end; else the last id is. */
    public readonly ?string $nextCursor;
    /** The answer as it came. */
    public readonly Response $lastResponse;

    /**
     * @param class-string<T> $model
     * @param array<string, mixed> $query
     * @param array<string, mixed> $options
     */
    public function __construct(
        private readonly Client $client,
        private readonly string $model,
        private readonly string $path,
        private readonly array $query,
        private readonly array $options,
    ) {
        $this->lastResponse = $client->request('GET', $path, $query, null, $options);
        $parsed = (array) json_decode($this->lastResponse->body, true);
        $this->data = array_map(static fn (array $each) => $model::of($each), array_values($parsed['data'] ?? []));
        $this->hasMore = ($parsed['has_more'] ?? false) === true;
        $this->nextCursor = $parsed['next_cursor'] ?? null;
    }

    /**
     * Return the page that follows: of older resources, or of newer ones where the list was asked for with
     * ending_before; null after the last one.
     *
     * @return self<T>|null
     */
    public function nextPage(): ?self
    {
        if (!$this->hasMore) {
            return null;
        }
        $cursor = $this->backwards() ? 'ending_before' : 'starting_after';
        $last = $this->backwards() ? $this->data[0] ?? null : $this->data[count($this->data) - 1] ?? null;
        $id = $this->nextCursor ?? $last?->toArray()['id'] ?? null;
        if ($id === null || ($this->query[$cursor] ?? null) === $id) {
            return null;
        }

        return new self($this->client, $this->model, $this->path, [$cursor => $id] + $this->query, $this->options);
    }

    /**
     * Yield each resource of this page and of those that follow; they are fetched as they are needed.
     *
     * @return \Generator<int, T>
     */
    public function autoPagingIterator(): \Generator
    {
        for ($page = $this; $page !== null; $page = $page->nextPage()) {
            foreach ($page->backwards() ? array_reverse($page->data) : $page->data as $each) {
                yield $each;
            }
        }
    }

    /**
     * Tell whether iteration goes to newer resources.
     */
    public function backwards(): bool
    {
        return isset($this->query['ending_before']);
    }

    /**
     * Describe the page without what is on it.
     *
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        return ['path' => $this->path, 'count' => count($this->data), 'hasMore' => $this->hasMore];
    }
}
