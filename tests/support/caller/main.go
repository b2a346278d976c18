// A participant that calls `device.status` as often as it is asked to, whatever the answers are.
//
// Arguments: the server's URL, a token, calls a second, and for how many seconds. It prints "joined" once it is in the
// room, begins at the first line of its input, and then prints what it did as JSON: calls a second, its share of a core,
// and how many calls were answered with each code; 0 is a result.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"log"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
)

const (
	answerTime = 40 * time.Second
	mostOpen   = 1000
	tick       = 2 * time.Millisecond
)

func main() {
	lksdk.SetLogger(logger.GetDiscardLogger())
	rate, seconds := number(os.Args[3]), number(os.Args[4])
	room, err := lksdk.ConnectToRoomWithToken(os.Args[1], os.Args[2], &lksdk.RoomCallback{}, lksdk.WithAutoSubscribe(false))
	must(err)
	println("joined")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	must(err)

	var calls sync.WaitGroup
	var lock sync.Mutex
	codes := map[string]int{}
	open := make(chan struct{}, mostOpen)
	call := func() {
		defer calls.Done()
		code := status(room)
		<-open
		lock.Lock()
		defer lock.Unlock()
		codes[strconv.Itoa(code)]++
	}

	made, used, began := 0, processorTime(), time.Now()
	for time.Since(began).Seconds() < seconds {
		for due := int(time.Since(began).Seconds() * rate); made < due && len(open) < mostOpen; made++ {
			open <- struct{}{}
			calls.Add(1)
			go call()
		}
		time.Sleep(tick)
	}
	took := time.Since(began)
	share := (processorTime() - used).Seconds() / took.Seconds()
	calls.Wait()
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"rate": float64(made) / took.Seconds(), "used": share, "codes": codes,
	}))
	room.Disconnect()
}

func status(room *lksdk.Room) int {
	within := answerTime
	_, err := room.LocalParticipant.PerformRpc(lksdk.PerformRpcParams{
		DestinationIdentity: "device", Method: "device.status", ResponseTimeout: &within,
	})
	var refused *lksdk.RpcError
	if errors.As(err, &refused) {
		return int(refused.Code)
	}
	must(err)
	return 0
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func number(text string) float64 {
	found, err := strconv.ParseFloat(text, 64)
	must(err)
	return found
}

func println(text string) {
	_, err := os.Stdout.WriteString(text + "\n")
	must(err)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
