<?php

declare(strict_types=1);

namespace MassiveSMS\Tests;

/**
 * A server on loopback in a process of its own: each connection gets the next answer; an empty one is none.
 */
final class Server
{
    public readonly string $url;
    /** @var resource */
    private mixed $process;
    /** @var array<int, resource> */
    private array $pipes = [];

    public function __construct(string ...$answers)
    {
        $script = <<<'PHP'
            $listener = stream_socket_server('tcp://127.0.0.1:0');
            echo stream_socket_get_name($listener, false), "\n";
            foreach (json_decode(base64_decode($argv[1])) as $answer) {
                $connection = stream_socket_accept($listener, 30);
                for ($head = ''; !str_contains($head, "\r\n\r\n");) {
                    $head .= fread($connection, 8192);
                }
                echo $head, "\n";
                if ($answer === '') {
                    sleep(30);
                }
                fwrite($connection, $answer);
                fclose($connection);
            }
            PHP;
        $command = [PHP_BINARY, '-r', $script, '--', base64_encode(json_encode($answers))];
        $this->process = proc_open($command, [1 => ['pipe', 'w']], $this->pipes);
        $this->url = 'http://' . trim(fgets($this->pipes[1]));
    }

    public static function answer(string $body): string
    {
        return "HTTP/1.1 200 OK\r\nContent-Length: " . strlen($body) . "\r\nConnection: close\r\n\r\n$body";
    }

    /**
     * Return what was received; the server has ended by then.
     */
    public function received(): string
    {
        return stream_get_contents($this->pipes[1]);
    }

    public function __destruct()
    {
        proc_terminate($this->process, 9);
        proc_close($this->process);
    }
}
