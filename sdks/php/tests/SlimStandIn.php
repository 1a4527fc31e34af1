<?php

declare(strict_types=1);

// What the example of Slim asks of Slim 4, for machines where it is not installed: a path and its handler.

namespace Slim\Factory;

use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;

final class AppFactory
{
    /** @var array<string, callable(ServerRequestInterface, ResponseInterface): ResponseInterface> */
    private array $handlers = [];

    public static function create(): self
    {
        return new self();
    }

    /** @param callable(ServerRequestInterface, ResponseInterface): ResponseInterface $handler */
    public function post(string $path, callable $handler): void
    {
        $this->handlers[$path] = $handler;
    }

    public function handle(ServerRequestInterface $request): ResponseInterface
    {
        return $this->handlers[$request->getUri()->getPath()]($request, new \Slim\Psr7\Response());
    }

    public function run(): void
    {
    }
}
