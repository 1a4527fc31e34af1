<?php

declare(strict_types=1);

namespace MassiveSMS;

use MassiveSMS\Exception\ConfigurationError;

/**
 * What resources have in common.
 */
abstract class Resource
{
    final public function __construct(private readonly Client $client)
    {
    }

    /**
     * Make a request and return its answer as a model.
     *
     * @template T of Model
     * @param class-string<T> $model
     * @param array<string, string> $ids
     * @param list<string> $query the parameters that go into the query
     * @param array<string, mixed> $params
     * @param array<string, mixed>|null $objects the fields of the body that are objects; null where there is no body
     * @param array<string, mixed> $options
     * @return T
     */
    protected function fetch(
        string $model,
        string $method,
        string $path,
        array $ids,
        array $query,
        array $params,
        ?array $objects,
        array $options,
    ): Model {
        $asked = array_intersect_key($params, array_flip($query));
        $body = $objects === null ? null : Values::shaped(array_diff_key($params, $asked), $objects);
        if ($objects === null && array_diff_key($params, $asked) !== []) {
            throw new ConfigurationError('The request has no parameter ' . implode(', ', array_keys(array_diff_key($params, $asked))));
        }
        $response = $this->client->request($method, Values::path($path, $ids), $asked, $body, $options);

        return $model::of((array) json_decode($response->body, true), $response);
    }

    /**
     * Return the first page of a list.
     *
     * @template T of Model
     * @param class-string<T> $model
     * @param array<string, string> $ids
     * @param array<string, mixed> $params
     * @param array<string, mixed> $options
     * @return Page<T>
     */
    protected function fetchList(string $model, string $path, array $ids, array $params, array $options): Page
    {
        return new Page($this->client, $model, Values::path($path, $ids), $params, $options);
    }

    /**
     * @return array<string, mixed>
     */
    public function __debugInfo(): array
    {
        return [];
    }
}
